//! What happens before `main`, in place of what a static C library does there.
//!
//! glibc first asks the CPU what it can do, to choose the fastest of its string functions: 43 CPUID instructions (2.36 on an
//! AMD). In a virtual machine each of them is a trap to the hypervisor, of 4 us on the machine of the README's numbers: half
//! of the time until the program runs. Here nobody asks, and each function is the one for every `x86_64`.

use std::ffi::c_char;
use std::ptr;

/// The directory of the binary, for libraries that it might load later. runinit loads none. To ask for it
/// (`readlink("/proc/self/exe")`) has the kernel make entries of /proc for this process and remove them at its end.
///
/// -1: it is not known, as without /proc (glibc, sysdeps/unix/sysv/linux/dl-origin.c).
#[unsafe(no_mangle)] // what else is called so is what this replaces
extern "C" fn _dl_get_origin() -> *const c_char {
    ptr::without_provenance(usize::MAX)
}

/// The steps of glibc 2.36 and 2.41 in their order (csu/libc-start.c); build.rs has looked which library is linked.
#[cfg(known_libc)]
mod start {
    use std::arch::asm;
    use std::ffi::{c_char, c_int, c_long, c_void};
    use std::mem::transmute;
    use std::ptr;

    type Words = *const *const c_char;
    type Main = unsafe extern "C" fn(c_int, Words, Words) -> c_int;
    type Initializer = unsafe extern "C" fn(c_int, Words, Words);

    /// A relocation with an addend (`Elf64_Rela`, elf(5)).
    #[repr(C)]
    struct Relocation {
        place: usize,
        kind: u64,
        addend: usize,
    }

    /// What is at `place` is what the function at `addend` returns (`R_X86_64_IRELATIVE`).
    const INDIRECT: u64 = 37;

    /// Where the C library has what is compared when a function returns that could have overrun its frame, and what pointers
    /// in a `jmp_buf` are mixed with (`tcbhead_t`, `sysdeps/x86_64/nptl/tls.h`).
    const STACK_GUARD: usize = 0x28;
    const POINTER_GUARD: usize = 0x30;

    unsafe extern "C" {
        static mut __environ: Words;
        static mut __libc_stack_end: *const c_void;
        static __libc_enable_secure: c_int;
        static _dl_random: *const [u64; 2];
        static __rela_iplt_start: [Relocation; 0];
        static __rela_iplt_end: [Relocation; 0];
        static __preinit_array_start: [Initializer; 0];
        static __preinit_array_end: [Initializer; 0];
        static __init_array_start: [Initializer; 0];
        static __init_array_end: [Initializer; 0];
        fn _dl_aux_init(auxiliary: *const c_void);
        fn __libc_setup_tls();
        fn __libc_early_init(is_first: bool);
        fn __libc_init_first(count: c_int, words: Words, environment: Words);
        fn __libc_check_standard_fds();
        fn _init();
    }

    /// What `_start` calls (crt1.o). Left out is what runinit has no use for: what the CPU can do; `GLIBC_TUNABLES`, by
    /// which a user could have memory managed in another way; destructors, since nobody here calls exit(3) but tests; and what
    /// `pthread_exit(3)` in this thread, or a debugger of libraries that are loaded later, would need.
    ///
    /// Before the relocations no function may be called that is chosen by them (memcpy, strlen), before the thread's storage
    /// nothing that has a part there (errno).
    #[unsafe(no_mangle)]
    unsafe extern "C" fn __libc_start_main(
        main: Main,
        count: c_int,
        words: Words,
        _init_before: *const c_void,
        _fini: *const c_void,
        _unload: *const c_void,
        stack_end: *const c_void,
    ) -> ! {
        // SAFETY: called once, by `_start`, with what the kernel has put on the stack (System V ABI, "Initial Stack"):
        // arguments, a null pointer, environment, a null pointer, auxiliary vector. There is one thread.
        unsafe {
            let environment = words.offset(count as isize + 1);
            __environ = environment;
            __libc_stack_end = stack_end;
            let mut last = environment;
            while !(*last).is_null() {
                last = last.add(1);
            }
            _dl_aux_init(last.add(1).cast());
            relocate();
            __libc_setup_tls();
            set_guards();
            __libc_early_init(true);
            __libc_init_first(count, words, environment);
            if __libc_enable_secure != 0 {
                __libc_check_standard_fds();
            }
            let initialize = |mut next: *const Initializer, end| {
                while next != end {
                    (*next)(count, words, environment);
                    next = next.add(1);
                }
            };
            initialize((&raw const __preinit_array_start).cast(), (&raw const __preinit_array_end).cast());
            _init();
            initialize((&raw const __init_array_start).cast(), (&raw const __init_array_end).cast());
            libc::exit(main(count, words, environment))
        }
    }

    /// Chooses those of the library's functions of which it has several.
    ///
    /// SAFETY: only once, before any of them is called.
    unsafe fn relocate() {
        // SAFETY: the linker has put the relocations of a static program between these two, and no other kind.
        unsafe {
            let mut next: *const Relocation = (&raw const __rela_iplt_start).cast();
            while next != (&raw const __rela_iplt_end).cast() {
                let Relocation { place, kind, addend } = *next;
                if kind != INDIRECT {
                    asm!("ud2", options(noreturn));
                }
                let choose = transmute::<usize, extern "C" fn() -> usize>(addend);
                ptr::with_exposed_provenance_mut::<usize>(place).write(choose());
                next = next.add(1);
            }
        }
    }

    /// Random bytes that the kernel has given (`AT_RANDOM`, getauxval(3)).
    ///
    /// SAFETY: only when the thread has its storage, and in a function that the guard does not guard.
    unsafe fn set_guards() {
        // SAFETY: `fs` is the beginning of the thread's storage (arch_prctl(2)), whose head is the library's own.
        unsafe {
            // Of any alignment.
            let [stack, pointer] = _dl_random.read_unaligned();
            // Its first byte in memory is 0: no string that overruns a frame can hold it.
            asm!("mov fs:[{}], {}", const STACK_GUARD, in(reg) stack & !0xff, options(nostack));
            asm!("mov fs:[{}], {}", const POINTER_GUARD, in(reg) pointer, options(nostack));
        }
    }

    /// From how many bytes on glibc's memory functions do what; the library has them where its own start is. They are those
    /// that it takes for a CPU with a cache of 32 KiB and 1 MiB of a shared one (sysdeps/x86/dl-cacheinfo.h).
    macro_rules! thresholds {
        ($($name:ident: $type:ty = $value:expr;)*) => { $(
            #[unsafe(no_mangle)]
            #[allow(non_upper_case_globals)] // the library's name
            static $name: $type = $value;
        )* };
    }

    const OWN_CACHE: c_long = 32 << 10;
    const SHARED_CACHE: c_long = 1 << 20;

    thresholds! {
        __x86_data_cache_size: c_long = OWN_CACHE;
        __x86_data_cache_size_half: c_long = OWN_CACHE / 2;
        __x86_shared_cache_size: c_long = SHARED_CACHE;
        __x86_shared_cache_size_half: c_long = SHARED_CACHE / 2;
        __x86_shared_non_temporal_threshold: c_long = SHARED_CACHE * 3 / 4;
        __x86_memset_non_temporal_threshold: c_long = SHARED_CACHE * 3 / 4;
        __x86_rep_movsb_threshold: c_long = 2 << 10;
        __x86_rep_movsb_stop_threshold: c_long = SHARED_CACHE * 3 / 4;
        __x86_rep_stosb_threshold: c_long = 2 << 10;
        __x86_string_control: c_int = 0;
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn nobody_has_asked_what_the_cpu_is() {
            unsafe extern "C" {
                /// Whose it is, and the highest question that it answers.
                static _dl_x86_cpu_features: [u32; 2];
            }
            // SAFETY: what begins the library's `struct cpu_features`. Nobody writes it any more.
            assert_eq!(unsafe { _dl_x86_cpu_features }, [0, 0]);
        }

        #[test]
        fn the_guards_are_random_and_as_they_should_be() {
            let (stack, pointer): (u64, u64);
            // SAFETY: two loads from the head of this thread's storage.
            unsafe {
                asm!("mov {}, fs:[{}]", out(reg) stack, const STACK_GUARD, options(nostack, readonly));
                asm!("mov {}, fs:[{}]", out(reg) pointer, const POINTER_GUARD, options(nostack, readonly));
            }
            assert_eq!(stack & 0xff, 0);
            assert!(stack != 0 && pointer != 0 && stack != pointer & !0xff);
        }

        /// Sizes at which the library goes another way.
        #[test]
        fn memory_of_any_size_is_moved() {
            let byte = |place: usize| (place % 251).to_le_bytes()[0];
            let large = [1 << 11, 1 << 13, 1 << 15, 786_431, 786_433, 1 << 21];
            for length in (0..300).chain(large) {
                for shift in [1, 17, 4096] {
                    let mut moved: Vec<u8> = (0..length + shift).map(byte).collect();
                    moved.copy_within(..length, shift);
                    let wanted = (0..shift).chain(0..length).map(byte);
                    assert!(moved.into_iter().eq(wanted), "{length} bytes by {shift}");
                }
            }
        }
    }
}
