//! The kernel's calls: one handler per number, in the order of `fos_abi::calls::CALLS`. A handler decodes
//! registers and calls what does the work; the work itself lives with the objects.

mod capabilities;
mod devices;
mod frames;
mod keys;
mod machine;
mod mailboxes;
mod messages;
mod spaces;
mod threads;
mod watches;

use crate::arch::machine::entry::{Answer, Handler};
use crate::cores;
use crate::jobs::Job;
use crate::space::Space;
use fos_abi::Error;
use fos_abi::calls::{CALLS, PIPELINED, TICKET_SHIFT};
use fos_abi::capability::{Handle, Kind, Rights};
use fos_abi::limits::PIPELINE_MAX;

pub use mailboxes::unmap_page as unmap_mailbox_page;
pub use threads::create as make_thread;
pub use threads::load_setup;

/// How many calls there are.
pub const COUNT: usize = 45;
const _: () = assert!(COUNT == CALLS.len());

/// The handlers, by number.
pub static HANDLERS: [Handler; COUNT] = [
    messages::null,
    messages::send,
    messages::send_wait,
    messages::wait,
    messages::ring,
    messages::send_name,
    messages::name_set,
    mailboxes::mailbox_create,
    mailboxes::mailbox_map,
    keys::key_create,
    keys::key_derive,
    keys::key_revoke,
    mailboxes::accept,
    capabilities::cap_derive,
    capabilities::cap_delete,
    capabilities::cap_revoke,
    capabilities::cap_read,
    frames::frame_read,
    spaces::space_create,
    spaces::space_donate,
    spaces::space_map,
    spaces::space_unmap,
    spaces::space_protect,
    spaces::space_dirty,
    frames::frames_unmap,
    frames::frames_fallback,
    capabilities::cap_give,
    threads::thread_create,
    threads::thread_setup,
    threads::thread_write,
    threads::thread_read,
    threads::thread_stop,
    threads::thread_resume,
    threads::thread_exit,
    threads::thread_yield,
    threads::thread_info,
    machine::destroy,
    watches::watch,
    watches::watch_mailbox,
    devices::interrupt_bind,
    devices::interrupt_done,
    devices::port_read,
    devices::port_write,
    machine::machine_off,
    machine::core_read,
];

/// A number outside the table: a pipelined call, or none.
pub extern "C" fn unusual(number: u32, arguments: &[u64; 6]) -> Answer {
    const TICKETS: u32 = 0xf << TICKET_SHIFT;
    if number & PIPELINED == 0 {
        return Answer::error(Error::BadCall);
    }
    let ticket = (number & TICKETS) >> TICKET_SHIFT;
    let plain = (number & !(PIPELINED | TICKETS)) as usize;
    let Some(info) = CALLS.get(plain).filter(|info| info.pipelined) else {
        return Answer::error(Error::BadCall);
    };
    if ticket as usize >= PIPELINE_MAX {
        return Answer::error(Error::BadArgument);
    }
    let here = cores::this();
    here.pipelined.set(ticket as u8 + 1);
    let [a, b, c, d, e, f] = *arguments;
    let answer = HANDLERS[info.number as usize](a, b, c, d, e, f);
    here.pipelined.set(0);
    answer
}

/// The space that a handle means: the caller's own, or one it has a capability with `rights` for.
#[inline(always)]
fn space_of(own: &'static Space, handle: u64, rights: Rights) -> Result<&'static Space, Error> {
    if handle == u64::from(Handle::SELF.0) {
        return Ok(own);
    }
    let (_, capability) = crate::capabilities::find_kind(own, handle, Kind::Space, rights)?;
    capability.object::<Space>()
}

/// The same for a job's caller.
fn target_space(job: &Job, handle: u64, rights: Rights) -> Result<&'static Space, Error> {
    space_of(job.space(), handle, rights)
}

/// Ends a step with an error if there is one.
macro_rules! attempt {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return $crate::jobs::Step::Done(Err(error)),
        }
    };
}
use attempt;
