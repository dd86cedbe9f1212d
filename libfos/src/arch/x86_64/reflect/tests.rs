//! The kernel's part of a reflection, played by the test: it stores where the call came from, sets `inside`,
//! and enters on the stack of libfos with every register as it was.

use super::*;
use fos_abi::thread::Area;
use std::boxed::Box;
use std::vec;

/// All registers that a Linux call keeps, in the order that [`simulate`] loads and stores them.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(32))]
struct State {
    frame: Frame,
    padding: [u64; 3],
    vectors: [[u64; 4]; 16],
}

/// Loads all registers from `input`, does what the kernel does for `syscall`, and stores all into `output` when
/// the entry has returned. `rdi`: entry, `rsi`: area, `rdx`: input, `rcx`: output, `r8`: stack.
#[unsafe(naked)]
unsafe extern "C" fn simulate(entry: u64, area: *mut Area, input: &State, output: &mut State, stack: u64) {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rcx", // the output
        "mov [rsi + {user_rsp}], rsp",
        "lea rax, [rip + 7f]",
        "mov [rsi + {user_rip}], rax",
        "mov qword ptr [rsi + {user_rflags}], 0x203", // with carry set
        "mov qword ptr [rsi + {inside}], 1",
        "mov rsp, r8",
        "mov r11, rdx",
        "mov rcx, rdi",
        "vmovups ymm0, [r11 + 128]",
        "vmovups ymm7, [r11 + 128 + 7 * 32]",
        "vmovups ymm15, [r11 + 128 + 15 * 32]",
        "mov rax, [r11]",
        "mov rdi, [r11 + 8]",
        "mov rsi, [r11 + 16]",
        "mov rdx, [r11 + 24]",
        "mov r10, [r11 + 32]",
        "mov r8, [r11 + 40]",
        "mov r9, [r11 + 48]",
        "mov rbx, [r11 + 56]",
        "mov rbp, [r11 + 64]",
        "mov r12, [r11 + 72]",
        "mov r13, [r11 + 80]",
        "mov r14, [r11 + 88]",
        "mov r15, [r11 + 96]",
        "jmp rcx",
        "7:", // the program goes on: RSP, flags and all registers as the call found them, but RCX and R11
        "pop rcx",
        "vmovups [rcx + 128], ymm0",
        "vmovups [rcx + 128 + 7 * 32], ymm7",
        "vmovups [rcx + 128 + 15 * 32], ymm15",
        "mov [rcx], rax",
        "setc byte ptr [rcx + 104]",
        "mov [rcx + 8], rdi",
        "mov [rcx + 16], rsi",
        "mov [rcx + 24], rdx",
        "mov [rcx + 32], r10",
        "mov [rcx + 40], r8",
        "mov [rcx + 48], r9",
        "mov [rcx + 56], rbx",
        "mov [rcx + 64], rbp",
        "mov [rcx + 72], r12",
        "mov [rcx + 80], r13",
        "mov [rcx + 88], r14",
        "mov [rcx + 96], r15",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
        user_rsp = const area::USER_RSP,
        user_rip = const area::USER_RIP,
        user_rflags = const area::USER_RFLAGS,
        inside = const area::INSIDE,
    )
}

/// Points GS to an area, as the kernel does for a thread that has one. Rust on Linux does not use GS.
fn with_area<R>(body: impl FnOnce(*mut Area) -> R) -> R {
    let area = Box::into_raw(Box::<Area>::default());
    // SAFETY: Linux lets programs write GS where the CPU has FSGSBASE, which the callers checked.
    unsafe { asm!("wrgsbase {}", in(reg) area) };
    let result = body(area);
    // SAFETY: from the box above; nothing uses GS any more.
    drop(unsafe { Box::from_raw(area) });
    result
}

/// Answers 42, and destroys every vector register, as the kernel does to a caller.
extern "C" fn destroy_vectors(frame: &mut Frame, value: *mut u8) {
    assert_eq!((frame.number(), frame.arguments()), (100, [101, 102, 103, 104, 105, 106]));
    assert_eq!(value as usize, 77);
    frame.set_answer(42);
    // SAFETY: the registers are named as lost.
    unsafe { asm!("vzeroall", clobber_abi("sysv64")) };
}

/// Destroys every vector register and the fault frame, as a nested fault would, and lets the program go on with a
/// changed RAX.
extern "C" fn move_on(value: *mut u8, frame: *mut FaultFrame) {
    assert_eq!(value as usize, 77);
    // SAFETY: the entry passes the area's frame; the registers are named as lost.
    unsafe {
        let mut saved = frame.read_volatile();
        frame.write_volatile(FaultFrame::default());
        asm!("vzeroall", clobber_abi("sysv64"));
        assert_eq!(saved.registers.rax, 100);
        saved.registers.rax = 42;
        frame.write_volatile(saved);
    }
}

/// Enters as the kernel does for a fault: registers into the area's frame, which says to go on at a label here.
/// `rdi`: entry, `rsi`: area, `rdx`: vectors, `rcx`: output, `r8`: stack.
#[unsafe(naked)]
unsafe extern "C" fn simulate_fault(
    entry: u64,
    area: *mut Area,
    input: &State,
    output: &mut State,
    stack: u64,
) {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rcx",
        "mov [rsi + {fault} + 136], rsp",
        "lea rax, [rip + 7f]",
        "mov [rsi + {fault} + 120], rax",
        "mov qword ptr [rsi + {inside}], 1",
        "vmovups ymm0, [rdx + 128]",
        "vmovups ymm7, [rdx + 128 + 7 * 32]",
        "vmovups ymm15, [rdx + 128 + 15 * 32]",
        "mov rsp, r8",
        "jmp rdi",
        "7:",
        "push rcx",
        "mov rcx, [rsp + 8]",
        "vmovups [rcx + 128], ymm0",
        "vmovups [rcx + 128 + 7 * 32], ymm7",
        "vmovups [rcx + 128 + 15 * 32], ymm15",
        "setc byte ptr [rcx + 104]",
        "mov [rcx], rax",
        "mov [rcx + 8], rdi",
        "mov [rcx + 16], rsi",
        "mov [rcx + 24], rdx",
        "mov [rcx + 32], r10",
        "mov [rcx + 40], r8",
        "mov [rcx + 48], r9",
        "mov [rcx + 56], rbx",
        "mov [rcx + 64], rbp",
        "mov [rcx + 72], r12",
        "mov [rcx + 80], r13",
        "mov [rcx + 88], r14",
        "mov [rcx + 96], r15",
        "mov [rcx + 112], r11",
        "pop rax", // RCX of the program
        "mov [rcx + 120], rax",
        "pop rcx",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
        fault = const area::FAULT,
        inside = const area::INSIDE,
    )
}

#[test]
fn a_program_goes_on_after_a_fault_with_every_register() {
    if !host_can() {
        return std::eprintln!("skipped: this CPU lacks FSGSBASE or AVX");
    }
    let mut stack = vec![[0u8; 64]; 1024];
    let (input, mut output) = (sample(), State { frame: Frame::default(), ..sample() });
    output.vectors = [[0; 4]; 16];
    with_area(|area| {
        let top = (stack.as_mut_ptr_range().end as u64) & !63;
        let Frame { rax, rdi, rsi, rdx, r10, r8, r9, rbx, rbp, r12, r13, r14, r15 } = input.frame;
        let registers = Registers {
            rax,
            rdi,
            rsi,
            rdx,
            r10,
            r8,
            r9,
            rbx,
            rbp,
            r12,
            r13,
            r14,
            r15,
            ..Registers::default()
        };
        // SAFETY: GS points to the area; the entry runs on a stack of 64 KiB and goes on in `simulate_fault`.
        unsafe {
            (*area).own_address = area as u64;
            (*area).fault.registers = Registers { rcx: 113, r11: 114, rflags: 0x203, ..registers };
            install(destroy_vectors, move_on, 77 as *mut u8);
            let (_, entry) = entries().expect("the state of this CPU fits");
            simulate_fault(entry, area, &input, &mut output, top);
            assert_eq!((*area).inside, 0);
        }
    });
    let expected = State { frame: Frame { rax: 42, ..input.frame }, padding: [1, 114, 113], ..input };
    assert_eq!(output, expected, "carry, R11 and RCX are in `padding`");
}

fn sample() -> State {
    let frame = Frame {
        rax: 100,
        rdi: 101,
        rsi: 102,
        rdx: 103,
        r10: 104,
        r8: 105,
        r9: 106,
        rbx: 107,
        rbp: 108,
        r12: 109,
        r13: 110,
        r14: 111,
        r15: 112,
    };
    let mut vectors = [[0; 4]; 16];
    for register in [0, 7, 15] {
        vectors[register] = [register as u64, 1 << 63, 5, !0];
    }
    State { frame, padding: [0; 3], vectors }
}

/// Whether this host can play the kernel: FSGSBASE and AVX, both in use.
fn host_can() -> bool {
    fs_base_writable() && std::is_x86_feature_detected!("avx")
}

#[test]
fn a_reflected_call_keeps_every_register_but_its_answer() {
    if !host_can() {
        return std::eprintln!("skipped: this CPU lacks FSGSBASE or AVX");
    }
    let mut stack = vec![[0u8; 64]; 1024];
    let (input, mut output) = (sample(), State { frame: Frame::default(), ..sample() });
    output.vectors = [[0; 4]; 16];
    with_area(|area| {
        let top = (stack.as_mut_ptr_range().end as u64) & !63;
        // SAFETY: GS points to the area; the entry runs on a stack of 64 KiB and returns to `simulate`.
        unsafe {
            install(destroy_vectors, move_on, 77 as *mut u8);
            let (entry, _) = entries().expect("the state of this CPU fits");
            simulate(entry, area, &input, &mut output, top);
            assert_eq!((*area).inside, 0);
        }
    });
    let expected = State { frame: Frame { rax: 42, ..input.frame }, padding: [1, 0, 0], ..input };
    assert_eq!(output, expected, "the carry flag is in `padding`");
}

#[test]
fn copying_and_clearing_leave_no_fixup() {
    if !host_can() {
        return std::eprintln!("skipped: this CPU lacks FSGSBASE or AVX");
    }
    with_area(|area| {
        for length in (0..100).chain([4095, 4096]) {
            let from: std::vec::Vec<u8> = (0..length).map(|index| index as u8 | 1).collect();
            let mut to = vec![0xee; length + 1];
            // SAFETY: both are that long; GS points to the area.
            assert!(unsafe { copy(to.as_mut_ptr(), from.as_ptr(), length) });
            assert_eq!((&to[..length], to[length]), (&from[..], 0xee));
            // SAFETY: as above.
            assert!(unsafe { clear(to.as_mut_ptr(), length) });
            assert_eq!((to.iter().filter(|byte| **byte == 0).count(), to[length]), (length, 0xee));
            // SAFETY: the box lives until `with_area` ends.
            assert_eq!(unsafe { (*area).fixup }, 0);
        }
    });
}
