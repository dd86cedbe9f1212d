//! A sender by name whose receiver ends and has a successor.

use alloc::string::ToString;
use core::time::Duration;

use fos_abi::key::KeyRights;
use libfos::Start;
use libfos::clock::{Clock, Deadline};
use libfos::mailbox::Mailbox;
use libfos::memory::Memory;
use libfos::named::{ByRoot, NamedSender};
use libfos::root::Root;

use crate::{Outcome, line};

const NAME: &str = "tasks-named";
const PATIENCE: Duration = Duration::from_secs(20);
const MESSAGES: u8 = 5;

/// Messages go to whoever has the name at the time; the sender sees nothing of the change, and none comes twice.
pub fn survives_its_receiver(start: &Start) -> Outcome {
    let mut memory = Memory::of_program(start).map_err(line)?;
    let clock = Clock::new(start.tsc_hz);
    let (root, deadline) = (Root::of_program(start).map_err(line)?, clock.after(PATIENCE));
    let mut sender = NamedSender::new(NAME);
    for _ in 0..3 {
        let mut mailbox = Mailbox::create(&mut memory, 64, 16).map_err(line)?;
        let key = mailbox.key(KeyRights::SEND, 0).map_err(line)?;
        root.register(NAME, key, deadline).map_err(line)?;
        for number in 0..MESSAGES {
            let mut ground = ByRoot { root, memory: &mut memory, clock };
            sender.send(&mut ground, &[number], deadline).map_err(|error| error.to_string())?;
        }
        for number in 0..MESSAGES {
            let message = mailbox.receive(Deadline::PASSED).map_err(line)?;
            if message.bytes() != [number] {
                return Err(alloc::format!("{:?} came instead of {number}", message.bytes()));
            }
        }
        if mailbox.has_message() {
            return Err("a message came twice".into());
        }
        mailbox.destroy(&mut memory).map_err(line)?;
    }
    Ok(())
}
