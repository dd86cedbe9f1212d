//! Entering the kernel: the registers of `fos_abi::calls`, one function per number of arguments so that a call
//! with few loads nothing for those it lacks.
//!
//! The kernel loses exactly the registers that the System V calling convention lets a function lose (and keeps
//! RBX, RBP, R12 to R15, MXCSR and the x87 control word), so one `clobber_abi` says it all. It does not touch the
//! program's stack or its red zone. Each answers with `rax` and `rdx`.
//!
//! # Safety
//! For all of them: what the call does must be sound. Every pointer among the arguments names memory that the
//! kernel may read or write as the call's description says, for as long as the call runs.

use core::arch::asm;

/// Where the arguments go, and the first two answers come from.
macro_rules! enter {
    ($selector:ident $(, $register:tt $argument:ident)* ; $($third:tt)*) => {{
        let status: u64;
        let value: u64;
        // SAFETY: the registers are those of `fos_abi::calls`, the lost ones are named, memory counts as touched,
        // and the caller vouches for what the call does.
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") u64::from($selector) => status,
                $(in($register) $argument,)*
                $($third)* value,
                clobber_abi("sysv64"),
                options(nostack),
            );
        }
        (status, value)
    }};
}

/// A call with no arguments.
///
/// # Safety
/// See the module.
#[inline(always)]
pub unsafe fn call0(selector: u32) -> (u64, u64) {
    enter!(selector; lateout("rdx"))
}

/// A call with one argument.
///
/// # Safety
/// See the module.
#[inline(always)]
pub unsafe fn call1(selector: u32, a: u64) -> (u64, u64) {
    enter!(selector, "rdi" a; lateout("rdx"))
}

/// A call with two arguments.
///
/// # Safety
/// See the module.
#[inline(always)]
pub unsafe fn call2(selector: u32, a: u64, b: u64) -> (u64, u64) {
    enter!(selector, "rdi" a, "rsi" b; lateout("rdx"))
}

/// A call with three arguments.
///
/// # Safety
/// See the module.
#[inline(always)]
pub unsafe fn call3(selector: u32, a: u64, b: u64, c: u64) -> (u64, u64) {
    enter!(selector, "rdi" a, "rsi" b; inlateout("rdx") c =>)
}

/// A call with four arguments.
///
/// # Safety
/// See the module.
#[inline(always)]
pub unsafe fn call4(selector: u32, a: u64, b: u64, c: u64, d: u64) -> (u64, u64) {
    enter!(selector, "rdi" a, "rsi" b, "r10" d; inlateout("rdx") c =>)
}

/// A call with five arguments.
///
/// # Safety
/// See the module.
#[inline(always)]
pub unsafe fn call5(selector: u32, a: u64, b: u64, c: u64, d: u64, e: u64) -> (u64, u64) {
    enter!(selector, "rdi" a, "rsi" b, "r10" d, "r8" e; inlateout("rdx") c =>)
}

/// A call with six arguments.
///
/// # Safety
/// See the module.
#[inline(always)]
pub unsafe fn call6(selector: u32, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> (u64, u64) {
    enter!(selector, "rdi" a, "rsi" b, "r10" d, "r8" e, "r9" f; inlateout("rdx") c =>)
}
