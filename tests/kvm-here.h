/* kvm-here.h - whether a test can have KVM: the file alone says little where it is only a name, as in containers */
#ifndef TESTS_KVM_HERE_H
#define TESTS_KVM_HERE_H

#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <unistd.h>

/** kvm_here() - a virtual machine can be made */
static inline bool kvm_here(void)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm = -1;

    if (kvm >= 0) {
        vm = ioctl(kvm, KVM_CREATE_VM, 0);
        close(kvm);
    }
    if (vm >= 0)
        close(vm);
    return vm >= 0;
}

#endif
