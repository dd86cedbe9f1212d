//! The list of all interfaces of the system. A number belongs to one interface for good.

use crate::arbiter::{ArbiterInterface, ArbiterPeersInterface};
use crate::containers::ContainerPeersInterface;
use crate::custody::{CustodyInterface, CustodyNewsInterface};
use crate::echo::EchoInterface;
use crate::fleet::{FleetInterface, FleetPeersInterface};
use crate::founder::FounderInterface;
use crate::knowledge::{KnowledgeInterface, KnowledgePeersInterface};
use crate::lending::LendingPeersInterface;
use crate::names::{NamePeersInterface, NamesInterface, NamesStarterInterface};
use crate::pages::{PagesInterface, PagesNewsInterface, PagesPeersInterface};
use crate::processes::{ProcessPeersInterface, ProcessesInterface};
use crate::programs::ProgramsInterface;
use crate::rpc::Description;
use crate::tickets::TicketsInterface;
use crate::watchdog::{MindedInterface, WatchdogInterface, WatchdogPeersInterface};

/// Every interface, by number. A data structure that serves an interface of its own beside its server's has its number
/// here as well.
pub const ALL: &[Description] = &[
    Description::of::<ProgramsInterface>(),
    Description::of::<EchoInterface>(),
    Description::of::<NamesInterface>(),
    Description::of::<NamePeersInterface>(),
    Description::of::<NamesStarterInterface>(),
    Description::of::<CustodyInterface>(),
    Description::of::<CustodyNewsInterface>(),
    Description::of::<FleetInterface>(),
    Description::of::<FleetPeersInterface>(),
    Description::of::<ContainerPeersInterface>(),
    Description::of::<PagesInterface>(),
    Description::of::<PagesPeersInterface>(),
    Description::of::<PagesNewsInterface>(),
    Description::of::<WatchdogInterface>(),
    Description::of::<WatchdogPeersInterface>(),
    Description::of::<MindedInterface>(),
    Description::of::<ProcessesInterface>(),
    Description::of::<ProcessPeersInterface>(),
    Description::of::<TicketsInterface>(),
    Description::of::<KnowledgeInterface>(),
    Description::of::<KnowledgePeersInterface>(),
    Description::of::<ArbiterInterface>(),
    Description::of::<LendingPeersInterface>(),
    Description::of::<ArbiterPeersInterface>(),
    Description::of::<FounderInterface>(),
];

const _: () = {
    let mut place = 1;
    while place < ALL.len() {
        assert!(
            ALL[place - 1].id < ALL[place].id,
            "two interfaces have one number, or the list is not in order"
        );
        place += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::Part;
    use alloc::string::String;
    use alloc::vec::Vec;
    use proptest::prelude::*;
    use std::path::Path;

    /// The lines below a folder that begin an interface, but for those of tests.
    fn interfaces_below(folder: &Path) -> usize {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let count = |path: std::path::PathBuf| match path.is_dir() {
            true => interfaces_below(&path),
            false => {
                let text: String = std::fs::read_to_string(path).unwrap_or_default();
                text.lines().filter(|line| line.starts_with("#[interface(")).count()
            }
        };
        entries.map(count).sum()
    }

    #[test]
    fn every_interface_of_this_crate_is_listed() {
        let written = interfaces_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
        assert_eq!(written, ALL.len());
    }

    #[test]
    fn operations_know_their_place() {
        for interface in ALL {
            for (number, operation) in interface.operations.iter().enumerate() {
                assert_eq!(usize::from(operation.number), number, "{}::{}", interface.name, operation.name);
                assert_eq!((operation.interface, operation.version), (interface.id, interface.version));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn no_bytes_make_a_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..200), beyond: u16) {
            for interface in ALL {
                for part in [Part::Request, Part::Value, Part::Refusal] {
                    for operation in interface.operations {
                        (interface.reads)(part, operation.number, &body);
                    }
                    let beyond = beyond.saturating_add(interface.operations.len() as u16);
                    prop_assert!(!(interface.reads)(part, beyond, &body));
                }
            }
        }

        /// Bytes that can be read can't be read any more with one byte more or less: nothing is ignored, nothing made up.
        #[test]
        fn what_is_read_is_read_whole(body in proptest::collection::vec(0u8..4, 0..24), more: u8) {
            for interface in ALL {
                for operation in interface.operations {
                    if (interface.reads)(Part::Request, operation.number, &body) {
                        let longer: Vec<u8> = body.iter().copied().chain([more]).collect();
                        prop_assert!(!(interface.reads)(Part::Request, operation.number, &longer));
                        for cut in 0..body.len() {
                            prop_assert!(!(interface.reads)(Part::Request, operation.number, &body[..cut]));
                        }
                    }
                }
            }
        }
    }
}
