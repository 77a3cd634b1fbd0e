//! The smallest programs there are, to be run under the inits: what a program costs itself must not blur what its
//! init costs. They stamp the time of their first instruction and then end, stay, or stay whatever SIGTERM says.
//!
//! A page of machine code each, written as an ELF file: no libc, no linker, no start-up.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::context::{Context, Result};

/// The programs, ready to be started.
pub(crate) struct Tiny {
    /// Stamps the time and ends with 0.
    pub(crate) ends: PathBuf,
    /// Stamps the time and stays until a signal ends it.
    pub(crate) stays: PathBuf,
    /// The same, but ignores SIGTERM.
    pub(crate) stubborn: PathBuf,
}

impl Tiny {
    /// Writes the programs into a directory.
    pub(crate) fn create(dir: &Path) -> Result<Self> {
        let write = |name: &str, code: &[&[u8]]| -> Result<PathBuf> {
            let file = dir.join(name);
            fs::write(&file, elf(&code.concat())).while_doing(file.display())?;
            fs::set_permissions(&file, Permissions::from_mode(0o755)).while_doing(file.display())?;
            Ok(file)
        };
        Ok(Self {
            ends: write("ends", &[code::STAMP, code::END])?,
            stays: write("stays", &[code::STAMP, code::STAY])?,
            stubborn: write("stubborn", &[code::IGNORE_SIGTERM, code::STAMP, code::STAY])?,
        })
    }
}

/// A static executable of one segment that begins with this code.
fn elf(code: &[u8]) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u16 = 64 + 56;
    let size = u64::from(HEADERS) + code.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec(); // 64 bits, little-endian
    let mut halves = |words: &[u16]| file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    halves(&[2, code::MACHINE, 1, 0]); // executable, version 1
    let mut longs = |words: &[u64]| file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    longs(&[BASE + u64::from(HEADERS), 64, 0]); // entry, program headers, no section headers
    let mut halves = |words: &[u16]| file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    halves(&[0, 0, 64, 56, 1, 0, 0, 0]); // flags, sizes, one program header
    let mut longs = |words: &[u64]| file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    longs(&[1 | 5 << 32, 0, BASE, BASE, size, size, 0x1000]); // load the file, readable and executable
    file.extend_from_slice(code);
    file
}

#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
mod code {
    pub(super) const MACHINE: u16 = 62;
    pub(super) const STAMP: &[u8] = &[
        0x48, 0x83, 0xec, 0x40,       // sub rsp, 64
        0xb8, 228, 0, 0, 0,           // mov eax, clock_gettime
        0xbf, 1, 0, 0, 0,             // mov edi, CLOCK_MONOTONIC
        0x48, 0x89, 0xe6,             // mov rsi, rsp
        0x0f, 0x05,                   // syscall
        0xb8, 1, 0, 0, 0,             // mov eax, write
        0xbf, 1, 0, 0, 0,             // mov edi, 1
        0x48, 0x89, 0xe6,             // mov rsi, rsp
        0xba, 16, 0, 0, 0,            // mov edx, 16
        0x0f, 0x05,                   // syscall
    ];
    pub(super) const END: &[u8] = &[
        0xb8, 60, 0, 0, 0,            // mov eax, exit
        0x31, 0xff,                   // xor edi, edi
        0x0f, 0x05,                   // syscall
    ];
    pub(super) const STAY: &[u8] = &[
        0xb8, 34, 0, 0, 0,            // mov eax, pause
        0x0f, 0x05,                   // syscall
        0xeb, 0xf7,                   // jmp to the mov
    ];
    pub(super) const IGNORE_SIGTERM: &[u8] = &[
        0x6a, 0, 0x6a, 0, 0x6a, 0,    // push 0, three times: flags, restorer, mask
        0x6a, 1,                      // push SIG_IGN
        0xb8, 13, 0, 0, 0,            // mov eax, rt_sigaction
        0xbf, 15, 0, 0, 0,            // mov edi, SIGTERM
        0x48, 0x89, 0xe6,             // mov rsi, rsp
        0x31, 0xd2,                   // xor edx, edx
        0x41, 0xba, 8, 0, 0, 0,       // mov r10d, 8
        0x0f, 0x05,                   // syscall
    ];
}

#[cfg(target_arch = "aarch64")]
#[rustfmt::skip]
mod code {
    pub(super) const MACHINE: u16 = 183;
    pub(super) const STAMP: &[u8] = &[
        0xff, 0x03, 0x01, 0xd1,       // sub sp, sp, 64
        0x28, 0x0e, 0x80, 0xd2,       // mov x8, clock_gettime
        0x20, 0x00, 0x80, 0xd2,       // mov x0, CLOCK_MONOTONIC
        0xe1, 0x03, 0x00, 0x91,       // mov x1, sp
        0x01, 0x00, 0x00, 0xd4,       // svc 0
        0x08, 0x08, 0x80, 0xd2,       // mov x8, write
        0x20, 0x00, 0x80, 0xd2,       // mov x0, 1
        0x02, 0x02, 0x80, 0xd2,       // mov x2, 16
        0x01, 0x00, 0x00, 0xd4,       // svc 0
    ];
    pub(super) const END: &[u8] = &[
        0xa8, 0x0b, 0x80, 0xd2,       // mov x8, exit
        0x00, 0x00, 0x80, 0xd2,       // mov x0, 0
        0x01, 0x00, 0x00, 0xd4,       // svc 0
    ];
    pub(super) const STAY: &[u8] = &[
        0x28, 0x09, 0x80, 0xd2,       // mov x8, ppoll
        0x00, 0x00, 0x80, 0xd2,       // mov x0, 0
        0x01, 0x00, 0x80, 0xd2,       // mov x1, 0
        0x02, 0x00, 0x80, 0xd2,       // mov x2, 0
        0x03, 0x00, 0x80, 0xd2,       // mov x3, 0
        0x01, 0x00, 0x00, 0xd4,       // svc 0
        0xfa, 0xff, 0xff, 0x17,       // b to the first mov
    ];
    pub(super) const IGNORE_SIGTERM: &[u8] = &[
        0xff, 0x03, 0x01, 0xd1,       // sub sp, sp, 64
        0x29, 0x00, 0x80, 0xd2,       // mov x9, SIG_IGN
        0xe9, 0x03, 0x00, 0xf9,       // str x9, [sp]
        0xff, 0x07, 0x00, 0xf9,       // str xzr, [sp, 8]
        0xff, 0x0b, 0x00, 0xf9,       // str xzr, [sp, 16]
        0xff, 0x0f, 0x00, 0xf9,       // str xzr, [sp, 24]
        0xc8, 0x10, 0x80, 0xd2,       // mov x8, rt_sigaction
        0xe0, 0x01, 0x80, 0xd2,       // mov x0, SIGTERM
        0xe1, 0x03, 0x00, 0x91,       // mov x1, sp
        0x02, 0x00, 0x80, 0xd2,       // mov x2, 0
        0x03, 0x01, 0x80, 0xd2,       // mov x3, 8
        0x01, 0x00, 0x00, 0xd4,       // svc 0
    ];
}
