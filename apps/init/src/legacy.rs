//! What `init` has root keep for who comes after it: the keys of fleets before it uses them, and the members of naming before it
//! answers them. So a successor is told nothing by anybody but root, and whatever `init` was doing when it ended can be done again.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use fos_messages::founder::FoundedFleet;
use fos_messages::names::{DirectoryKey, Path};
use fos_messages::rpc::wire;
use fos_naming::starter::{Introduced, Memo};
use serde::{Deserialize, Serialize};

/// A piece of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Piece {
    RootKey(DirectoryKey),
    Entered(u32),
    Member(Introduced),
    Fleet { fleet: FoundedFleet, is_founded: bool },
}

/// A piece as root keeps it: under this name; no bytes: nothing any more.
pub type Record = (String, Vec<u8>);

/// What those before it left.
#[derive(Debug, Default)]
pub struct Legacy {
    /// The key of `/`. None: nobody was before.
    pub root_key: Option<DirectoryKey>,
    /// How many members of naming have entered.
    pub entered: u32,
    /// Those of them that had not ended, by their numbers.
    pub members: Vec<Introduced>,
    fleets: Vec<(FoundedFleet, bool)>,
}

impl Legacy {
    /// From what root has kept. What can't be read is as if it had not been left: this program wrote all of it.
    pub fn read(records: &[Record]) -> Legacy {
        let mut legacy = Legacy::default();
        for (_, bytes) in records {
            match wire::whole(bytes, wire::read) {
                Some(Piece::RootKey(key)) => legacy.root_key = Some(key),
                Some(Piece::Entered(count)) => legacy.entered = count,
                Some(Piece::Member(member)) => legacy.members.push(member),
                Some(Piece::Fleet { fleet, is_founded }) => legacy.fleets.push((fleet, is_founded)),
                None => {}
            }
        }
        legacy.members.sort_by_key(|member| member.peer.number);
        legacy
    }

    /// The key of a fleet, and whether it was founded.
    pub fn fleet(&self, name: &Path) -> Option<(DirectoryKey, bool)> {
        let (fleet, is_founded) = self.fleets.iter().find(|(fleet, _)| fleet.name == *name)?;
        Some((fleet.key, *is_founded))
    }
}

/// The key of `/`.
pub fn root_key(key: DirectoryKey) -> Record {
    record("root key".into(), &Piece::RootKey(key))
}

/// The key of the fleet at this place of the image, and whether it is founded.
pub fn fleet(place: usize, name: &Path, key: DirectoryKey, is_founded: bool) -> Record {
    let fleet = FoundedFleet { name: name.clone(), key };
    record(format!("fleet {place}"), &Piece::Fleet { fleet, is_founded })
}

/// What the starter of naming has remembered.
pub fn memo(memo: Memo) -> Record {
    let member = |number: u32| format!("naming {number}");
    match memo {
        Memo::Entered(count) => record("entered".into(), &Piece::Entered(count)),
        Memo::Member(introduced) => record(member(introduced.peer.number), &Piece::Member(introduced)),
        Memo::Forgotten(number) => (member(number), Vec::new()),
    }
}

fn record(name: String, piece: &Piece) -> Record {
    let mut bytes = Vec::new();
    // Of numbers, keys and paths, which can all be written.
    let _ = wire::write(piece, &mut bytes);
    (name, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fos_abi::Identity;
    use fos_messages::names::{COMPONENT_BYTES_MAX, PATH_BYTES_MAX, Peer};
    use fos_messages::rpc::Address;
    use fos_messages::start::{KEPT_BYTES_MAX, NAME_MAX};
    use std::collections::BTreeMap;

    const KEY: DirectoryKey = DirectoryKey([u64::MAX, 7]);

    fn introduced(number: u32, serves: bool) -> Introduced {
        let address = Address { identity: Identity(u64::from(number) * 10), ..Address::default() };
        let peer = Peer { machine: 0, number, address };
        Introduced { peer, external: serves.then_some(address) }
    }

    #[test]
    fn the_next_one_knows_what_was_left() {
        let pages = Path::new("/pages").unwrap();
        let left = [
            root_key(KEY),
            memo(Memo::Entered(1)),
            memo(Memo::Member(introduced(2, false))),
            memo(Memo::Entered(11)),
            memo(Memo::Member(introduced(11, false))),
            memo(Memo::Member(introduced(3, true))),
            memo(Memo::Member(introduced(11, true))),
            memo(Memo::Forgotten(2)),
            fleet(1, &pages, KEY, false),
            fleet(1, &pages, KEY, true),
        ];
        let mut kept: BTreeMap<String, Vec<u8>> = left.into_iter().collect();
        kept.retain(|_, bytes| !bytes.is_empty());
        let legacy = Legacy::read(&kept.into_iter().collect::<Vec<_>>());
        assert_eq!((legacy.root_key, legacy.entered), (Some(KEY), 11));
        assert_eq!(legacy.members, [introduced(3, true), introduced(11, true)]);
        assert_eq!(legacy.fleet(&pages), Some((KEY, true)));
        assert_eq!(legacy.fleet(&Path::root()), None);
        assert_eq!(Legacy::read(&[("odd".into(), [255].into())]).root_key, None);
    }

    #[test]
    fn the_longest_piece_is_kept() {
        let mut name = String::new();
        while name.len() < PATH_BYTES_MAX {
            name.push('/');
            let room = (PATH_BYTES_MAX - name.len()).min(COMPONENT_BYTES_MAX);
            name.extend(core::iter::repeat_n('n', room));
        }
        let last = introduced(u32::MAX, true);
        for (name, bytes) in
            [fleet(usize::MAX, &Path::new(&name).unwrap(), KEY, true), memo(Memo::Member(last))]
        {
            assert!(name.len() <= NAME_MAX && bytes.len() <= KEPT_BYTES_MAX, "{name}: {}", bytes.len());
        }
    }
}
