//! Which call comes next: cheap ones often, those that take other cores' time seldom, each now and then.

use alloc::vec::Vec;

use fos_abi::calls::{CALLS, Call};

use crate::aims::call_numbered;
use crate::random::Random;

/// Every call as often as its weight, in one list to pick from.
pub struct Choices(Vec<Call>);

/// How often a call is chosen, relative to the others.
const fn weight(call: Call) -> usize {
    match call {
        Call::null | Call::send | Call::ring | Call::cap_read | Call::frame_read | Call::core_read => 600,
        Call::wait | Call::send_wait | Call::send_name | Call::thread_info | Call::thread_read => 400,
        Call::cap_derive | Call::key_create | Call::key_derive | Call::port_read | Call::port_write => 300,
        Call::name_set | Call::space_map | Call::space_protect | Call::space_dirty | Call::thread_write => {
            200
        }
        Call::accept | Call::thread_setup | Call::interrupt_done | Call::watch | Call::watch_mailbox => 100,
        Call::space_unmap | Call::cap_delete | Call::key_revoke | Call::frames_unmap => 100,
        Call::machine_off | Call::thread_yield => 20,
        // What ends something asks every core to pass a quiescent point, or sweeps every core's tables.
        Call::mailbox_map | Call::frames_fallback | Call::interrupt_bind | Call::thread_resume => 8,
        Call::cap_revoke | Call::cap_give | Call::thread_stop | Call::mailbox_create | Call::destroy => 4,
        Call::thread_create | Call::space_create | Call::space_donate | Call::thread_exit => 3,
    }
}

impl Choices {
    /// All calls.
    pub fn new() -> Choices {
        let calls = CALLS.iter().map(|info| call_numbered(info.number));
        Choices(calls.flat_map(|call| core::iter::repeat_n(call, weight(call))).collect())
    }

    /// One of them.
    pub fn pick(&self, random: &mut Random) -> Call {
        random.pick(&self.0)
    }
}
