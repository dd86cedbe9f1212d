//! Registers that a program writes into a stopped thread: whatever would make the kernel fault on the way
//! to user mode is refused.

use super::check_registers;
use crate::tests::machine;
use fos_abi::Error;
use fos_abi::limits::USER_END;
use fos_abi::thread::{Registers, USER_RFLAGS};
use proptest::prelude::*;

/// An address of every sort: low, high, around the hole between.
fn address() -> impl Strategy<Value = u64> {
    let borders = [0u64, USER_END, 1 << 47, 0xffff_8000_0000_0000, u64::MAX];
    let near =
        (prop::sample::select(borders.to_vec()), -3i64..4).prop_map(|(at, by)| at.wrapping_add_signed(by));
    prop_oneof![near, any::<u64>(), any::<u64>().prop_map(|bits| bits >> 17)]
}

/// Whether the upper 17 bits are alike, said another way than the kernel does.
fn canonical(address: u64) -> bool {
    address >> 47 == 0 || address >> 47 == 0x1_ffff
}

proptest! {
    #![proptest_config(machine::cases(4000))]

    #[test]
    fn only_what_can_be_loaded_is_accepted(
        rip in address(),
        rsp in address(),
        fs_base in address(),
        rflags in prop_oneof![Just(0u64), Just(0x202), any::<u64>().prop_map(|bits| bits & USER_RFLAGS), any::<u64>()],
    ) {
        let registers = Registers { rip, rsp, fs_base, rflags, ..Registers::default() };
        let allowed = rip < USER_END
            && canonical(rsp)
            && canonical(fs_base)
            && rflags & !(USER_RFLAGS | 0x202) == 0;
        let expected = if allowed { Ok(()) } else { Err(Error::BadArgument) };
        prop_assert_eq!(check_registers(&registers), expected);
    }
}

#[test]
fn no_flag_that_gives_rights_is_a_programs_own() {
    // Intel SDM vol. 1, 3.4.3: I/O privilege, nested task, resume, virtual-8086, virtual interrupts.
    for bit in [12, 13, 14, 16, 17, 19, 20] {
        let registers = Registers { rflags: 1 << bit, ..Registers::default() };
        assert_eq!(check_registers(&registers), Err(Error::BadArgument), "bit {bit}");
    }
}
