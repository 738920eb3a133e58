/* jit.c - code that the program writes while it runs */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include "kernel.h"

enum { PAGE = 4096, AREA = 1 << 20 };
typedef uint64_t (*code_fn)(uint64_t);

static uint8_t *code_area(int prot)
{
    uint8_t *p = mmap(NULL, AREA, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    bench_check(p != MAP_FAILED, "mmap");
    return p;
}

static uint8_t *put(uint8_t *p, const void *bytes, size_t len)
{
    memcpy(p, bytes, len);
    return p + len;
}

/* lea IMM(%rdi), %rax; ret */
static uint8_t *put_add(uint8_t *p, uint32_t imm)
{
    p = put(p, "\x48\x8d\x87", 3);
    p = put(p, &imm, 4);
    return put(p, "\xc3", 1);
}

/* a function is written anew, and called once */
static uint64_t run_rewrite(uint64_t n)
{
    uint8_t *p = code_area(PROT_READ | PROT_WRITE | PROT_EXEC);
    uint64_t v = 0;

    for (uint64_t i = 0; i < n; i++) {
        put_add(p, (uint32_t)(i & 0xffff));
        v = ((code_fn)p)(v);
    }
    munmap(p, AREA);
    return v;
}

/* only the immediate is patched; ten calls follow */
static uint64_t run_patch(uint64_t n)
{
    uint8_t *p = code_area(PROT_READ | PROT_WRITE | PROT_EXEC);
    uint64_t v = 0;

    put_add(p, 0);
    for (uint64_t i = 0; i < n; i++) {
        *(volatile uint32_t *)(p + 3) = (uint32_t)(i & 0xffff);
        for (int k = 0; k < 10; k++)
            v = ((code_fn)p)(v);
    }
    munmap(p, AREA);
    return v;
}

/* nothing of the code changes, but its data lie in the same page */
static uint64_t run_data_near(uint64_t n)
{
    uint8_t *p = code_area(PROT_READ | PROT_WRITE | PROT_EXEC);
    uint64_t v = 0;

    put_add(p, 7);
    for (uint64_t i = 0; i < n; i++) {
        *(volatile uint64_t *)(p + 2048 + (i & 31) * 8) = v;
        v = ((code_fn)p)(v);
    }
    munmap(p, AREA);
    return v;
}

/* the code itself changes the instruction behind it:
 * mov %edi, 1f-4(%rip); lea IMM(%rdi), %rax; 1: ret */
static uint64_t run_self(uint64_t n)
{
    uint8_t *p = code_area(PROT_READ | PROT_WRITE | PROT_EXEC), *q = p;
    uint64_t v = 0;

    q = put(q, "\x89\x3d\x03\x00\x00\x00", 6);
    put_add(q, 0);
    for (uint64_t i = 0; i < n; i++)
        v = v * 5 + ((code_fn)p)(i & 0x3fffffff);
    munmap(p, AREA);
    return v;
}

/* A function of some 30 instructions with a loop in it, as a simple JIT compiler emits */
static uint8_t *put_function(uint8_t *p, uint32_t seed)
{
    uint32_t imm;

    p = put(p, "\x48\x89\xf8\xb9\x04\x00\x00\x00", 8);           /* mov %rdi,%rax; mov $4,%ecx */
    uint8_t *loop = p;
    for (int i = 0; i < 6; i++) {
        imm = seed * 2654435761u + (uint32_t)i;
        p = put(p, "\x48\x05", 2);                                  /* add $IMM, %rax */
        p = put(p, &imm, 4);
        p = put(p, "\x48\xc1\xc0\x05", 4);                         /* rol $5, %rax */
        p = put(p, "\x48\x31\xf8", 3);                              /* xor %rdi, %rax */
        p = put(p, "\x48\x89\x44\x24\xf8", 5);                     /* mov %rax, -8(%rsp) */
    }
    p = put(p, "\xff\xc9\x75", 3);                                  /* dec %ecx; jnz loop */
    *p = (uint8_t)(loop - (p + 1));
    return put(p + 1, "\xc3", 1);
}

/* a compiler that fills its code area, calls each function a few times and starts again */
static uint64_t run_compile(uint64_t n)
{
    uint8_t *area = code_area(PROT_READ | PROT_WRITE | PROT_EXEC), *p = area;
    uint64_t v = 0;

    for (uint64_t i = 0; i < n; i++) {
        uint8_t *start = p;

        p = put_function(p, (uint32_t)i);
        p += -(uintptr_t)p & 15;
        for (int k = 0; k < 20; k++)
            v = ((code_fn)start)(v);
        if (p + 512 > area + AREA)
            p = area;
    }
    munmap(area, AREA);
    return v;
}

/* many functions, none changed any more, called in an order that data decide */
static uint64_t run_many(uint64_t n)
{
    uint8_t *area = code_area(PROT_READ | PROT_WRITE | PROT_EXEC), *p = area;
    uint64_t v = 0, seed = 1;
    static uint8_t *start[2048];

    for (uint32_t i = 0; i < 2048; i++) {
        start[i] = p;
        p = put_function(p, i);
    }
    for (uint64_t i = 0; i < n; i++)
        v = ((code_fn)start[bench_rand(&seed) & 2047])(v);
    munmap(area, AREA);
    return v;
}

/* never writable and executable at once: mprotect around each change */
static uint64_t run_protect(uint64_t n)
{
    uint8_t *p = code_area(PROT_READ | PROT_WRITE);
    uint64_t v = 0;

    for (uint64_t i = 0; i < n; i++) {
        mprotect(p, PAGE, PROT_READ | PROT_WRITE);
        put_add(p, (uint32_t)(i & 0xffff));
        mprotect(p, PAGE, PROT_READ | PROT_EXEC);
        for (int k = 0; k < 10; k++)
            v = ((code_fn)p)(v);
    }
    munmap(p, AREA);
    return v;
}

/* mapped, filled, called, unmapped: each time at the same address */
static uint64_t run_remap(uint64_t n)
{
    uint64_t v = 0;

    for (uint64_t i = 0; i < n; i++) {
        uint8_t *p = code_area(PROT_READ | PROT_WRITE | PROT_EXEC);

        put_function(p, (uint32_t)i);
        for (int k = 0; k < 10; k++)
            v = ((code_fn)p)(v);
        munmap(p, AREA);
    }
    return v;
}

const struct kernel kernels[] = {
    { "rewrite", run_rewrite, 800000, 0, 0 },
    { "patch", run_patch, 1500000, 0, 0 },
    { "data_near", run_data_near, 80000000, 0, 0 },
    { "self", run_self, 1500000, 0, 0 },
    { "compile", run_compile, 240000, 0, 0 },
    { "many", run_many, 8000000, 0, 0 },
    { "protect", run_protect, 60000, 0, 0 },
    { "remap", run_remap, 30000, 0, 0 },
    { 0, 0, 0, 0, 0 },
};
