//! Page tables beside a slow model of them: what is mapped, which tables were made for it, how often each
//! frame is mapped; and at a space's end every table comes back exactly once.

use super::empty_at;
use crate::arch::machine::paging::{Access, DIRTY_BIT, Entry, LEVELS};
use crate::frames;
use crate::jobs::Job;
use crate::space::{Pages, Space};
use crate::tests::machine;
use fos_abi::Error;
use fos_abi::limits::{HUGE_PAGES, USER_END};
use fos_abi::space::MapFlags;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const HUGE: u64 = HUGE_PAGES as u64;
/// Frames that are mapped as small pages here.
const SMALL_FRAMES: u64 = 8;

/// What is mapped at a page.
#[derive(Clone, Copy, Debug)]
struct Mapped {
    frame: u64,
    size: u64,
    access: Access,
    dirty: bool,
}

/// The slow twin of a space's page tables.
struct Model {
    pages: BTreeMap<u64, Mapped>,
    /// Tables by level and by which stretch of pages each covers.
    tables: BTreeSet<(usize, u64)>,
    spare: usize,
    /// The first of the frames that are mapped as small pages, and of 2 MiB.
    small: u64,
    huge: u64,
}

impl Model {
    fn new(spare: usize) -> Model {
        let (small, huge) = (machine::frames(SMALL_FRAMES), machine::aligned_frames(HUGE, HUGE));
        Model { pages: BTreeMap::new(), tables: BTreeSet::new(), spare, small, huge }
    }
    fn at(&self, page: u64) -> Option<(u64, Mapped)> {
        let huge = page & !(HUGE - 1);
        let small = self.pages.get(&page).map(|mapped| (page, *mapped));
        small.or_else(|| self.pages.get(&huge).filter(|mapped| mapped.size > 1).map(|mapped| (huge, *mapped)))
    }
    fn table_covers(&self, level: usize, page: u64) -> bool {
        self.tables.contains(&(level, page >> (9 * (level + 1))))
    }
    /// Makes the tables down to a level.
    fn make_tables(&mut self, page: u64, level: usize) -> Result<(), Error> {
        for wanted in (level..LEVELS - 1).rev() {
            if wanted == 0 && self.at(page).is_some_and(|(_, mapped)| mapped.size > 1) {
                return Err(Error::AlreadyMapped);
            }
            if !self.table_covers(wanted, page) {
                self.spare = self.spare.checked_sub(1).ok_or(Error::NoTables)?;
                self.tables.insert((wanted, page >> (9 * (wanted + 1))));
            }
        }
        Ok(())
    }
    fn map_small(&mut self, page: u64, frame: u64, access: Access) -> Result<(), Error> {
        self.make_tables(page, 0)?;
        if self.pages.contains_key(&page) {
            return Err(Error::AlreadyMapped);
        }
        self.pages.insert(page, Mapped { frame, size: 1, access, dirty: false });
        Ok(())
    }
    fn map_huge(&mut self, page: u64, frame: u64, access: Access) -> Result<(), Error> {
        self.make_tables(page, 1)?;
        if self.at(page).is_some() || self.table_covers(0, page) {
            return Err(Error::AlreadyMapped);
        }
        self.pages.insert(page, Mapped { frame, size: HUGE, access, dirty: false });
        Ok(())
    }
    /// What `unmap_at` and `protect_at` look for.
    fn whole(&self, page: u64, count: u64) -> Result<(u64, Mapped), Error> {
        let (start, mapped) = self.at(page).ok_or(Error::NotMapped)?;
        if mapped.size > count || start != page { Err(Error::BadArgument) } else { Ok((start, mapped)) }
    }
    fn hole(&self, page: u64) -> u64 {
        let missing = (1..LEVELS).rev().find(|level| !self.table_covers(level - 1, page));
        match missing {
            Some(level) if self.at(page).is_none() => (1 << (9 * level)) - page % (1 << (9 * level)),
            _ => 1,
        }
    }
}

#[derive(Clone, Debug)]
enum Operation {
    MapSmall { page: u64, count: u64, frame: u64, access: Access },
    MapHuge { page: u64, access: Access },
    Unmap { page: u64, count: u64 },
    Protect { page: u64, count: u64, flags: MapFlags },
    Write { page: u64 },
    TakeDirty { page: u64 },
}

/// Pages at the borders of tables of every level.
fn page() -> impl Strategy<Value = u64> {
    let last = USER_END / 4096 - 1;
    let borders = [16u64, 512, 1024, 1 << 18, 1 << 19, 1 << 27, last - 520, last - 6];
    (prop::sample::select(borders.to_vec()), -2i64..3).prop_map(|(at, by)| at.wrapping_add_signed(by))
}

fn access() -> impl Strategy<Value = Access> {
    any::<[bool; 6]>().prop_map(|[write, execute, may_write, may_execute, uncached, uncounted]| Access {
        write,
        execute,
        may_write,
        may_execute,
        uncached,
        uncounted,
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    let huge = || page().prop_map(|page| page & !(HUGE - 1));
    let count = || prop::sample::select(vec![1u64, 2, 3, 511, 512]);
    prop_oneof![
        (page(), 1u64..6, 0..SMALL_FRAMES - 5, access())
            .prop_map(|(page, count, frame, access)| Operation::MapSmall { page, count, frame, access }),
        (huge(), access()).prop_map(|(page, access)| Operation::MapHuge { page, access }),
        (prop_oneof![page(), huge()], count()).prop_map(|(page, count)| Operation::Unmap { page, count }),
        (prop_oneof![page(), huge()], count(), 0u32..4).prop_map(|(page, count, bits)| Operation::Protect {
            page,
            count,
            flags: MapFlags(2 * bits)
        }),
        page().prop_map(|page| Operation::Write { page }),
        page().prop_map(|page| Operation::TakeDirty { page }),
    ]
}

/// Unmaps, and lets the frame go at once: no core runs these spaces.
fn unmap(space: &'static Space, page: u64, count: u64) -> Result<u64, Error> {
    // SAFETY: zero is a job that does nothing and holds nothing.
    let job: &'static Job = unsafe { &*machine::zeroed() };
    let frame = space.at_page(page, |table, index, _| table.get(index).frame());
    let before = frame.map(frames::mappings);
    let size = space.unmap_at(job, page, count);
    assert_eq!(frame.map(frames::mappings), before, "counted until no core can use it");
    job.release_held();
    size
}

/// Does one thing to both and compares the answers.
fn apply(space: &'static Space, model: &mut Model, operation: &Operation) {
    let (small, huge) = (model.small, model.huge);
    match *operation {
        Operation::MapSmall { page, count, frame, access } => {
            let mut expected = (count, Ok(()));
            for step in 0..count {
                if let Err(error) = model.map_small(page + step, small + frame + step, access) {
                    expected = (step, Err(error));
                    break;
                }
            }
            assert_eq!(space.map_small(Pages { first: page, count }, small + frame, access), expected);
        }
        Operation::MapHuge { page, access } => {
            assert_eq!(space.map_huge(page, huge, access), model.map_huge(page, huge, access));
        }
        Operation::Unmap { page, count } => {
            let expected = model.whole(page, count);
            assert_eq!(unmap(space, page, count), expected.map(|(_, mapped)| mapped.size));
            if let Ok((start, _)) = expected {
                model.pages.remove(&start);
            }
        }
        Operation::Protect { page, count, flags } => {
            let write = flags.contains(MapFlags::WRITE);
            let execute = flags.contains(MapFlags::EXECUTE);
            let expected = model.whole(page, count).and_then(|(start, mapped)| {
                let allowed = mapped.access;
                let too_much = write && !allowed.may_write || execute && !allowed.may_execute;
                if too_much { Err(Error::NoRights) } else { Ok((start, mapped.size)) }
            });
            assert_eq!(space.protect_at(page, count, flags), expected.map(|(_, size)| size));
            if let Ok((start, _)) = expected {
                let mapped = model.pages.get_mut(&start).unwrap();
                mapped.access = Access { write, execute, ..mapped.access };
            }
        }
        Operation::Write { page } => {
            // What the CPU does on a write.
            let written = space.at_page(page, |table, index, _| table.set_bits(index, DIRTY_BIT)).is_ok();
            assert_eq!(written, model.at(page).is_some());
            if let Some((start, _)) = model.at(page) {
                model.pages.get_mut(&start).unwrap().dirty = true;
            }
        }
        Operation::TakeDirty { page } => {
            let expected = model.at(page);
            assert_eq!(space.take_dirty(page), expected.is_some_and(|(_, mapped)| mapped.dirty));
            if let Some((start, _)) = expected {
                model.pages.get_mut(&start).unwrap().dirty = false;
            }
        }
    }
}

/// Compares every page that was ever named, and the counts of every frame.
fn compare(space: &'static Space, model: &Model, pages: &[u64]) {
    for page in pages {
        let seen = space.at_page(*page, |table, index, size| (table.get(index), size));
        match (seen, model.at(*page)) {
            (Ok((entry, size)), Some((_, mapped))) => {
                assert_eq!((entry.frame(), size), (mapped.frame, mapped.size), "page {page:#x}");
                assert_eq!(
                    (entry.access(), entry.is_dirty()),
                    (mapped.access, mapped.dirty),
                    "page {page:#x}"
                );
            }
            (Err(Error::NotMapped), None) => {}
            (seen, expected) => {
                panic!("page {page:#x} is {:?}, not {expected:?}", seen.map(|(_, size)| size))
            }
        }
        assert_eq!(space.hole_at(*page), model.hole(*page), "the hole at page {page:#x}");
    }
    for frame in model.small..model.small + SMALL_FRAMES {
        let counted = |mapped: &&Mapped| mapped.frame == frame && !mapped.access.uncounted;
        assert_eq!(frames::mappings(frame) as usize, model.pages.values().filter(counted).count());
    }
    let counted = |mapped: &&Mapped| mapped.size > 1 && !mapped.access.uncounted;
    assert_eq!(frames::mappings(model.huge + 9) as usize, model.pages.values().filter(counted).count());
}

fn spare_tables(space: &Space) -> Vec<u64> {
    std::iter::from_fn(|| space.remove_spare_table()).collect()
}

/// Ends the space's mappings as its end does: how many steps that took.
fn empty(space: &'static Space) -> usize {
    let mut page = 0;
    let mut steps = 0;
    while page < 1 << 35 {
        let next = empty_at(space, page);
        assert!(next > page, "the way goes on");
        page = next;
        steps += 1;
    }
    steps
}

proptest! {
    #![proptest_config(machine::cases(128))]

    #[test]
    fn tables_do_what_the_model_does(
        operations in prop::collection::vec(operation(), 1..80),
        spare in prop::sample::select(vec![0usize, 1, 3, 5, 40]),
    ) {
        let space = machine::space(spare as u64);
        // The spare frames, taken out to be known and put back.
        let mut given = spare_tables(space);
        given.iter().rev().for_each(|frame| space.add_spare_table(*frame));
        let mut model = Model::new(spare);
        let mut named: Vec<u64> = vec![16, 512, 1 << 18, 1 << 27];
        for operation in &operations {
            apply(space, &mut model, operation);
            match *operation {
                Operation::MapSmall { page, count, .. } => named.extend([page, page + count - 1, page + count]),
                Operation::MapHuge { page, .. } => named.extend([page, page + 1, page + 511]),
                Operation::Unmap { page, .. } | Operation::Protect { page, .. } => named.push(page),
                Operation::Write { page } | Operation::TakeDirty { page } => named.push(page),
            }
        }
        named.retain(|page| *page < USER_END / 4096);
        compare(space, &model, &named);
        prop_assert!(empty(space) <= 4 * 512 * (model.tables.len() + 1));
        model.pages.clear();
        model.tables.clear();
        compare(space, &model, &named);
        let mut returned = spare_tables(space);
        returned.sort_unstable();
        given.sort_unstable();
        prop_assert_eq!(returned, given, "every table comes back, once");
    }

    #[test]
    fn an_entry_keeps_what_it_is_made_of(frame in 0u64..1 << 40, access in access(), huge: bool) {
        machine::start();
        let entry = Entry::page(frame, access, huge);
        prop_assert!(entry.is_present() && !entry.is_dirty());
        prop_assert_eq!((entry.frame(), entry.access(), entry.is_huge()), (frame, access, huge));
        prop_assert_eq!(entry.is_counted(), !access.uncounted);
    }
}

#[test]
fn a_table_that_is_used_again_holds_nothing_old() {
    let space = machine::space(3);
    let frame = machine::frames(1);
    let access = Access { write: true, may_write: true, ..Access::default() };
    for page in [16, 1 << 18, 1 << 27] {
        assert_eq!(space.map_small(Pages { first: page, count: 1 }, frame, access), (1, Ok(())));
        assert_eq!(space.at_page(page + 1, |_, _, _| ()), Err(Error::NotMapped));
        empty(space);
        assert_eq!(space.at_page(page, |_, _, _| ()), Err(Error::NotMapped));
        assert_eq!(frames::mappings(frame), 0);
    }
}

#[test]
fn frames_that_hold_objects_are_not_mapped() {
    let space = machine::space(3);
    let frame = machine::frames(2);
    frames::claim(frame + 1, 1).unwrap();
    let run = Pages { first: 16, count: 2 };
    assert_eq!(space.map_small(run, frame, Access::default()), (1, Err(Error::InUse)));
    assert_eq!(unmap(space, 17, 1), Err(Error::NotMapped));
}
