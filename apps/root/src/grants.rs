//! From what the image grants to capabilities in a program's table: exactly those, derived with no more rights or
//! range than the image says.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use fos_abi::Error;
use fos_abi::boot::root_slot;
use fos_abi::capability::{Handle, Rights};
use fos_abi::limits::PAGE_SIZE;
use fos_messages::image::Capability;
use fos_messages::start::handle_name;
use libfos::calls;

/// Name of device memory in a start block; `start.rs` names the others.
const DEVICE: &str = "device";

/// Frames that a list of capabilities grants.
pub fn granted_frames(capabilities: &[Capability]) -> u64 {
    let frames = |capability: &Capability| match capability {
        Capability::Frames(bytes) => bytes / PAGE_SIZE as u64,
        _ => 0,
    };
    capabilities.iter().map(frames).sum()
}

/// The handles in a program's table, by name, as they go into its start block.
#[derive(Debug)]
pub struct Grants {
    space: Handle,
    /// See [`fos_messages::start::Start::handles`].
    pub handles: Vec<(String, u32)>,
}

impl Grants {
    /// Nothing yet for the program with this space.
    pub fn new(space: Handle) -> Grants {
        Grants { space, handles: Vec::new() }
    }

    /// Moves a capability of root's own table to the program, under a name.
    pub fn give(&mut self, name: &str, capability: Handle) -> Result<(), Error> {
        match calls::cap_give(self.space, capability) {
            Ok(there) => {
                self.handles.push((name.to_string(), there.0));
                Ok(())
            }
            Err(error) => {
                calls::cap_delete(capability)?;
                Err(error)
            }
        }
    }

    /// Gives what one line of the image grants. Frames come with the program's own piece, and keys are no
    /// capabilities of the kernel: neither is given here.
    pub fn give_granted(&mut self, capability: &Capability) -> Result<(), Error> {
        match capability {
            Capability::Ports { first, count } => {
                self.give_range(handle_name::PORTS, &[root_slot::PORTS], u64::from(*first), u64::from(*count))
            }
            Capability::Interrupt(line) => {
                self.give_range(handle_name::INTERRUPT, &[root_slot::INTERRUPTS], u64::from(*line), 1)
            }
            Capability::Device { start, length } => {
                let page = PAGE_SIZE as u64;
                let slots = [root_slot::DEVICE, root_slot::DEVICE_HIGH];
                self.give_range(DEVICE, &slots, start / page, length / page)
            }
            Capability::Cores => {
                let all = Handle::new(root_slot::CORES, 0);
                let count = calls::cap_read(all)?.length;
                self.give(handle_name::CORES, calls::cap_derive(all, Rights::ALL, 0, count)?)
            }
            Capability::Power => {
                let machine = Handle::new(root_slot::MACHINE, 0);
                self.give(handle_name::MACHINE, calls::cap_derive(machine, Rights::ALL, 0, 0)?)
            }
            Capability::Frames(_)
            | Capability::Console
            | Capability::Control
            | Capability::Fencing
            | Capability::Fleets
            | Capability::Programs
            | Capability::Custody
            | Capability::Tickets => Ok(()),
        }
    }

    /// Gives `count` from `first` out of the first of root's ranges that holds them.
    fn give_range(&mut self, name: &str, slots: &[usize], first: u64, count: u64) -> Result<(), Error> {
        for slot in slots {
            let range = Handle::new(*slot, 0);
            let info = calls::cap_read(range)?;
            let holds =
                first >= info.base && first.saturating_add(count) <= info.base.saturating_add(info.length);
            if holds {
                return self.give(name, calls::cap_derive(range, Rights::ALL, first - info.base, count)?);
            }
        }
        Err(Error::BadArgument)
    }
}
