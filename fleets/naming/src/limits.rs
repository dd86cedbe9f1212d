//! What a member of naming holds at most, and that its heap has room for it: whoever registers names without end meets a
//! refusal, and no member ends for want of memory. Every member holds the same map, so what one had no room for, none had.

use fos_replicated_map::Limits;

/// Bytes of a member's heap.
pub const HEAP_BYTES: usize = 32 << 20;

/// Bytes that the heap needs for the longest name with the most metadata, the allocator's own included: a test below fills
/// a map with them and counts.
const ENTRY_BYTES_MAX: usize = 1600;
/// Bytes for what is remembered of a client that has made as many changes as are kept.
const CLIENT_BYTES_MAX: usize = 1024;

/// What naming holds.
pub const LIMITS: Limits = Limits {
    entries_max: 8192,
    // Nobody alone fills the map.
    owned_max: 1024,
    clients_max: 4096,
    log_max: 2048,
    ..Limits::DEFAULT
};

/// Changes that are under way or kept for others, each with an entry of its own.
const CHANGES_MAX: usize = LIMITS.log_max + LIMITS.queue_max + LIMITS.unanswered_max;

// A quarter is left for messages under way, watches, and holes between what is allocated.
const _: () = assert!(
    (LIMITS.entries_max + CHANGES_MAX) * ENTRY_BYTES_MAX + LIMITS.clients_max * CLIENT_BYTES_MAX
        <= HEAP_BYTES / 4 * 3
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Part, Place, Record};
    use alloc::vec::Vec;
    use alloc::{format, vec};
    use fos_messages::names::{Entry, METADATA_BYTES_MAX, METADATA_PAIRS_MAX, PATH_BYTES_MAX, Path};
    use fos_messages::rpc::Address;
    use fos_replicated_map::{Identity, Input, Member, Membership, Operation, Replica, Request, Update};
    use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
    use std::alloc::System;

    /// What an allocator adds to each piece: its length, and filling up to a multiple.
    const PER_PIECE: usize = 32;

    #[global_allocator]
    static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

    /// One of the longest names, with the most metadata.
    fn insert(number: usize) -> Operation<Place, Record> {
        let mut name = format!("/{number:031}");
        while name.len() <= PATH_BYTES_MAX - 32 {
            name.push_str("/0123456789012345678901234567890");
        }
        assert_eq!(name.len(), PATH_BYTES_MAX);
        let key = Place::Name(Path::new(&name).unwrap(), Part::Member(number as u64));
        let text = "x".repeat(METADATA_BYTES_MAX);
        let entry = Entry {
            address: Address::default(),
            machine: 0,
            core: 0,
            metadata: vec![(text.clone(), text); METADATA_PAIRS_MAX],
        };
        let owner = Identity(1 + (number / LIMITS.owned_max) as u64);
        Operation::Insert { key, value: Record::Member(entry), owner }
    }

    #[test]
    fn a_full_map_fits_and_one_more_is_refused() {
        let me = Member::new(0, 1);
        let mut replica = Replica::new(me, Membership::first([me].into(), me.machine), LIMITS);
        let mut add = |number: usize| {
            let (client, request) = (Identity(number as u64 / 8 + 1), Request(number as u64 % 8 + 1));
            let update = Update { client, request, operation: insert(number) };
            replica.step(Input::Update(update), &mut Vec::new());
            replica.store().entries().len()
        };
        let region = Region::new(COUNTING);
        for number in 0..LIMITS.entries_max {
            assert_eq!(add(number), number + 1);
        }
        let used = region.change();
        let pieces = used.allocations - used.deallocations;
        // Other tests run beside this one; what they hold is little against a full map.
        let bytes = used.bytes_allocated - used.bytes_deallocated + pieces * PER_PIECE;
        let each = bytes / LIMITS.entries_max;
        assert!((ENTRY_BYTES_MAX / 2..=ENTRY_BYTES_MAX).contains(&each), "{each} bytes for each entry");
        assert_eq!(add(LIMITS.entries_max), LIMITS.entries_max);
    }
}
