/* vector.S - SSE, AVX, AVX-512, MMX, x87: registers and memory forms */
#include "case.inc"
        cases   vector

user64 movaps_rr
        movaps  %xmm1, %xmm0
user64 movaps_load
        movaps  (%rbx), %xmm0
user64 movups_load
        movups  8(%rbx,%rcx,4), %xmm0
user64 movups_store
        movups  %xmm0, (%rbx)
user64 movaps_store
        movaps  %xmm0, 16(%rbx)
user64 movd_to
        movd    %eax, %xmm0
user64 movq_from
        movq    %xmm0, %rax
user64 movq_load
        movq    (%rbx), %xmm0
user64 movss_load
        movss   (%rbx), %xmm0
user64 movsd_store
        movsd   %xmm0, 8(%rbx)
user64 movhps_load
        movhps  (%rbx), %xmm0
user64 movntdq
        movntdq %xmm0, (%rbx)
user64 addps
        addps   %xmm1, %xmm0
user64 addps_mem
        addps   (%rbx), %xmm0
user64 mulsd
        mulsd   %xmm1, %xmm0
user64 mulsd_mem
        mulsd   8(%rbx), %xmm0
user64 divsd_sqrtsd
        divsd   %xmm1, %xmm0
        sqrtsd  %xmm0, %xmm0
user64 ucomisd_ja
        ucomisd %xmm1, %xmm0
        ja      1f
        nop
1:      nop
user64 comiss_mem_jp
        comiss  (%rbx), %xmm0
        jp      1f
        nop
1:      nop
user64 cvtsi2sd
        cvtsi2sd %rax, %xmm0
user64 cvttsd2si
        cvttsd2si %xmm0, %eax
user64 pcmpeqb_pmovmskb
        pcmpeqb (%rdi), %xmm0
        pmovmskb %xmm0, %eax
        test    %eax, %eax
        jne     1f
        nop
1:      nop
user64 pshufd_imm
        pshufd  $0x1b, (%rbx), %xmm0
user64 pxor_zero
        pxor    %xmm0, %xmm0
user64 pinsrw
        pinsrw  $3, %eax, %xmm0
user64 pextrd_store
        pextrd  $1, %xmm0, (%rbx)
user64 ptest_jz
        ptest   %xmm1, %xmm0
        jz      1f
        nop
1:      nop
user64 blendv
        blendvps %xmm0, (%rbx), %xmm1
user64 pcmpistri
        pcmpistri $8, (%rbx), %xmm0
user64 aesenc
        aesenc  (%rbx), %xmm0
user64 pclmul
        pclmulqdq $1, %xmm1, %xmm0
user64 sha256
        sha256rnds2 %xmm0, %xmm1, %xmm2
user64 ldmxcsr_stmxcsr
        stmxcsr (%rbx)
        ldmxcsr (%rbx)
user64 vaddps_ymm
        vaddps  %ymm1, %ymm2, %ymm0
user64 vmovdqu_load
        vmovdqu (%rbx), %ymm0
user64 vmovdqa_store
        vmovdqa %ymm0, 32(%rbx)
user64 vfmadd
        vfmadd231pd (%rbx), %ymm1, %ymm0
user64 vbroadcastss
        vbroadcastss (%rbx), %ymm0
user64 vpgatherdd
        vpgatherdd %ymm1, (%rbx,%ymm2,4), %ymm0
user64 vmaskmovps
        vmaskmovps (%rbx), %ymm1, %ymm0
user64 vpcmpeqb_vpmovmskb
        vpcmpeqb (%rdi), %ymm0, %ymm1
        vpmovmskb %ymm1, %eax
user64 vzeroupper
        vzeroupper
user64 vpaddd_high_registers
        vpaddd  %ymm9, %ymm10, %ymm11
user64 evex_vaddps_zmm
        vaddps  %zmm1, %zmm2, %zmm0
user64 evex_load
        vmovdqu64 (%rbx), %zmm0
user64 evex_store_masked
        vmovdqu32 %zmm0, (%rbx){%k1}
user64 evex_load_zeroing
        vmovdqu8 (%rbx), %zmm16{%k2}{z}
user64 evex_broadcast
        vaddpd  (%rbx){1to8}, %zmm1, %zmm0
user64 evex_compare
        vpcmpeqb (%rdi), %ymm16, %k0
        kmovd   %k0, %eax
user64 evex_compress_store
        vpcompressd %zmm0, (%rbx){%k1}
user64 evex_group
        vmovdqu64 64(%rdi), %ymm17
        vpxorq  96(%rdi), %ymm17, %ymm18
        vpaddd  28(%rdi){1to8}, %ymm18, %ymm19
        vpaddd  98(%rdi), %ymm18, %ymm19
user64 mmx_paddb
        paddb   (%rbx), %mm0
user64 emms
        emms
user64 vector_mix
        movups  (%rsi), %xmm0
        addps   %xmm1, %xmm0
        mulps   %xmm2, %xmm0
        movups  %xmm0, (%rdi)
user64 vector_over_helper
        addps   %xmm1, %xmm0
        cpuid
        addps   %xmm1, %xmm0
user64 vector_over_lean_helper
        addps   %xmm1, %xmm0
        rep movsb
        addps   %xmm1, %xmm0
user64 xgetbv_xsave
        xsave   (%rbx)
user64 fxsave
        fxsave  (%rbx)

user64 fld_double
        fldl    (%rbx)
user64 fstp_double
        fstpl   (%rbx)
user64 fild
        fildl   (%rbx)
user64 fistp
        fistpll (%rbx)
user64 fld_extended
        fldt    (%rbx)
user64 faddp
        faddp
user64 fmul_mem
        fmull   (%rbx)
user64 fxch
        fxch
user64 fcomi_jb
        fcomi   %st(1), %st
        jb      1f
        nop
1:      nop
user64 fcmov
        fcmove  %st(1), %st
user64 fnstsw
        fnstsw  %ax
user64 fldcw
        fnstcw  (%rbx)
        fldcw   (%rbx)
user64 fsin
        fsin
user64 fsqrt
        fsqrt
user64 x87_polynomial
        fldl    (%rbx)
        fmull   (%rcx)
        faddl   8(%rcx)
        fmul    %st(0), %st
        fstpl   (%rdx)
user32 x87_32
        fldl    8(%ebp)
        faddl   16(%ebp)
user32 sse_32
        movsd   8(%ebp), %xmm0
        addsd   16(%ebp), %xmm0
real16 fninit16
        fninit
user64 loop_copy_avx
1:      vmovdqa -0x20(%rdx), %ymm0
        vmovdqa (%rdx), %ymm1
        vmovdqa %ymm0, -0x20(%rax)
        vmovdqa %ymm1, (%rax)
        add     $0x40, %rax
        add     $0x40, %rdx
        cmp     %rcx, %rax
        jne     1b
        done
