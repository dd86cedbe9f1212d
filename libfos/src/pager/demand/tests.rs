//! The pager over pages and frames that a test plays, beside a model of what each page should hold.

use super::*;
use crate::pages::block;
use alloc::vec;
use core::cell::Cell;
use fos_messages::pages::{PagesError, Range, Run};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Frames that the fleet gives in one run.
const RUN: u64 = 24;

/// What is in each frame, and which frame is behind each page.
#[derive(Debug, Default)]
struct Played {
    frames: BTreeMap<(u32, u32), u64>,
    pages: BTreeMap<u64, ((u32, u32), bool)>,
    next: u64,
    /// What is given out, by handle.
    runs: BTreeMap<u32, u64>,
    left: u64,
    last: u32,
    /// How many were asked for each time.
    asked: Vec<u64>,
}

#[derive(Clone, Debug, Default)]
struct World(Rc<RefCell<Played>>);

impl Ground for World {
    fn reserve(&mut self, pages: u64) -> Result<u64, MemoryError> {
        let mut played = self.0.borrow_mut();
        played.next += pages;
        Ok(1000 + played.next - pages)
    }
    fn free_addresses(&mut self, _: u64, _: u64) {}
    fn map(
        &mut self,
        (handle, first): (Handle, u32),
        count: usize,
        page: u64,
        writable: bool,
    ) -> Result<(), MemoryError> {
        let mut played = self.0.borrow_mut();
        for place in 0..count as u32 {
            assert!(u64::from(first + place) < played.runs[&handle.0]);
            let before = played.pages.insert(page + u64::from(place), ((handle.0, first + place), writable));
            assert_eq!(before, None);
        }
        Ok(())
    }
    fn unmap(&mut self, page: u64, count: u64) -> Result<(), Error> {
        (page..page + count).for_each(|page| assert!(self.0.borrow_mut().pages.remove(&page).is_some()));
        Ok(())
    }
    fn unmap_all(&mut self, frames: Handle) -> Result<(), Error> {
        self.0.borrow_mut().pages.retain(|_, ((handle, _), _)| *handle != frames.0);
        Ok(())
    }
    fn protect(&mut self, page: u64, count: u64, writable: bool) -> Result<(), Error> {
        (page..page + count).for_each(|page| self.0.borrow_mut().pages.get_mut(&page).unwrap().1 = writable);
        Ok(())
    }
    fn mappings(&self, frames: Handle, index: u32) -> Result<u64, Error> {
        let played = self.0.borrow();
        Ok(played.pages.values().filter(|(frame, _)| *frame == (frames.0, index)).count() as u64)
    }
    fn zero(&mut self, page: u64, count: usize) {
        (page..page + count as u64).for_each(|page| self.write(page, 0));
    }
    fn copy(&mut self, from: u64, to: u64) {
        let value = self.read(from).unwrap();
        self.write(to, value);
    }
}

impl World {
    fn read(&self, page: u64) -> Option<u64> {
        let played = self.0.borrow();
        let (frame, _) = played.pages.get(&page)?;
        Some(played.frames.get(frame).copied().unwrap_or(0))
    }
    fn write(&self, page: u64, value: u64) {
        let mut played = self.0.borrow_mut();
        let (frame, writable) = played.pages[&page];
        assert!(writable);
        played.frames.insert(frame, value);
    }
    fn may_write(&self, page: u64) -> bool {
        self.0.borrow().pages.get(&page).is_some_and(|(_, writable)| *writable)
    }
}

/// Gives runs until there are no more frames.
#[derive(Debug)]
struct Shelf(World);

impl Larder for Shelf {
    fn fetch(&mut self, frames: u64) -> Result<Vec<Run>, SupplyError> {
        let mut played = self.0.0.borrow_mut();
        played.asked.push(frames);
        let count = frames.min(RUN).min(played.left);
        if count == 0 {
            return Err(SupplyError::Refused(PagesError::OutOfMemory));
        }
        played.left -= count;
        played.last += 1;
        let handle = played.last;
        played.runs.insert(handle, count);
        Ok(vec![Run { handle, range: Range { first: block(20) * u64::from(handle), count } }])
    }
    fn give_back(&mut self, runs: &[Run]) -> Result<(), SupplyError> {
        let mut played = self.0.0.borrow_mut();
        for run in runs {
            assert_eq!(played.runs.remove(&run.handle), Some(run.range.count));
            assert!(played.pages.values().all(|((handle, _), _)| *handle != run.handle), "still mapped");
            played.left += run.range.count;
        }
        Ok(())
    }
}

fn pager(frames: u64) -> (Demand<World>, World) {
    let world = World::default();
    world.0.borrow_mut().left = frames;
    (Demand::new(world.clone(), Shelf(world.clone())), world)
}

fn touch(pager: &Demand<World>, page: u64, is_write: bool) -> Verdict {
    pager.clone().fault(Fault { address: page * PAGE_SIZE as u64 + 8, is_write })
}

/// Writes to a page as a program does.
fn write(pager: &Demand<World>, world: &World, page: u64, value: u64) -> Verdict {
    let verdict = if world.may_write(page) { Verdict::Retry } else { touch(pager, page, true) };
    if verdict == Verdict::Retry {
        world.write(page, value);
    }
    verdict
}

fn read(pager: &Demand<World>, world: &World, page: u64) -> Option<u64> {
    if world.read(page).is_none() && touch(pager, page, false) != Verdict::Retry {
        return None;
    }
    world.read(page)
}

#[derive(Clone, Debug)]
enum Step {
    Make(u64, bool),
    Read(prop::sample::Index, prop::sample::Index),
    Write(prop::sample::Index, prop::sample::Index),
    Copy(prop::sample::Index),
    Release(prop::sample::Index),
    GiveBack,
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        2 => (1u64..40, any::<bool>()).prop_map(|(pages, is_stack)| Step::Make(pages, is_stack)),
        6 => (index(), index()).prop_map(|(region, page)| Step::Read(region, page)),
        12 => (index(), index()).prop_map(|(region, page)| Step::Write(region, page)),
        3 => index().prop_map(Step::Copy),
        2 => index().prop_map(Step::Release),
        1 => Just(Step::GiveBack),
    ]
}

proptest! {
    /// Each page holds what was last written to it, or what its region was copied from held then, or zero, and no frame is lost.
    #[test]
    fn every_page_holds_what_was_written_to_it(
        frames in 30u64..400,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let (pager, world) = pager(frames);
        let mut regions: Vec<(Region, Vec<u64>)> = Vec::new();
        let value = Cell::new(0);
        for step in steps {
            match step {
                Step::Make(pages, is_stack) => {
                    let kind = if is_stack { Kind::Stack } else { Kind::Memory };
                    regions.push((pager.make(kind, pages).unwrap(), vec![0; pages as usize]));
                }
                _ if regions.is_empty() => {}
                Step::Read(region, page) => {
                    let (region, holds) = &regions[region.index(regions.len())];
                    let page = page.index(holds.len());
                    let found = read(&pager, &world, region.first + page as u64);
                    prop_assert!(found.is_none_or(|found| found == holds[page]), "{found:?} {}", holds[page]);
                }
                Step::Write(region, page) => {
                    let place = region.index(regions.len());
                    let (region, holds) = &mut regions[place];
                    let page = page.index(holds.len());
                    value.set(value.get() + 1);
                    match write(&pager, &world, region.first + page as u64, value.get()) {
                        Verdict::Retry => holds[page] = value.get(),
                        Verdict::Over(_) => prop_assert_eq!(world.0.borrow().left, 0),
                        Verdict::Unknown => prop_assert!(false),
                    }
                }
                Step::Copy(region) => {
                    let (region, holds) = &regions[region.index(regions.len())];
                    let copy = (pager.copy(region).unwrap(), holds.clone());
                    regions.push(copy);
                }
                Step::Release(region) => {
                    let (region, _) = regions.swap_remove(region.index(regions.len()));
                    pager.release(region).unwrap();
                }
                Step::GiveBack => pager.give_back_unused().unwrap(),
            }
            for (region, holds) in &regions {
                for (page, holds) in (region.first..).zip(holds) {
                    prop_assert!(world.read(page).is_none_or(|found| found == *holds));
                }
            }
            prop_assert_eq!(world.0.borrow().left + pager.figures().frames, frames);
        }
        regions.into_iter().for_each(|(region, _)| pager.release(region).unwrap());
        pager.give_back_unused().unwrap();
        prop_assert_eq!(world.0.borrow().left, frames);
        prop_assert!(world.0.borrow().pages.is_empty());
    }
}

#[test]
fn beyond_a_region_is_an_overrun_and_beyond_that_nobodys() {
    let (pager, _) = pager(100);
    let region = pager.make(Kind::Memory, 4).unwrap();
    let stack = pager.make(Kind::Stack, 256).unwrap();
    for page in [region.first - 1, region.first - GUARD_PAGES, region.first + 4] {
        let Verdict::Over(why) = touch(&pager, page, true) else { panic!("page {page}") };
        assert!(why.starts_with("memory of 16 KiB was overrun: address 0x"), "{why}");
    }
    let Verdict::Over(why) = touch(&pager, stack.first - 1, true) else { panic!() };
    assert!(why.starts_with("a stack of 1024 KiB is used up: address 0x"), "{why}");
    assert_eq!(touch(&pager, region.first - GUARD_PAGES - 1, false), Verdict::Unknown);
    assert_eq!(touch(&pager, stack.first + 256 + GUARD_PAGES, false), Verdict::Unknown);
}

#[test]
fn what_is_there_and_faults_all_the_same_is_not_retried_for_ever() {
    let (pager, _) = pager(100);
    let region = pager.make(Kind::Memory, 4).unwrap();
    assert_eq!(touch(&pager, region.first, false), Verdict::Retry);
    assert_eq!(touch(&pager, region.first, true), Verdict::Unknown);
}

#[test]
fn without_frames_a_fault_is_over_and_a_touch_an_error() {
    let (pager, _) = pager(2);
    let region = pager.make(Kind::Memory, 8).unwrap();
    assert_eq!(pager.touch(&region, 0..2 * PAGE_SIZE), Ok(()));
    let none = SupplyError::Refused(PagesError::OutOfMemory);
    assert_eq!(pager.touch(&region, 0..2 * PAGE_SIZE + 1), Err(none));
    let Verdict::Over(why) = touch(&pager, region.first + 5, true) else { panic!() };
    assert!(why.contains("not enough memory is free"), "{why}");
    pager.release(region).unwrap();
    assert_eq!(pager.touch(&pager.make(Kind::Stack, 2).unwrap(), 0..usize::MAX), Ok(()));
}

#[test]
fn a_copy_costs_frames_when_it_is_written_and_the_last_one_none() {
    let (pager, world) = pager(200);
    let one = pager.make(Kind::Memory, 3).unwrap();
    (0..3).for_each(|page| assert_eq!(write(&pager, &world, one.first + page, 7 + page), Verdict::Retry));
    let other = pager.copy(&one).unwrap();
    assert_eq!(write(&pager, &world, other.first, 1), Verdict::Retry);
    assert_eq!(
        (world.read(one.first), world.read(other.first), pager.figures().copied),
        (Some(7), Some(1), 1)
    );
    assert_eq!(write(&pager, &world, one.first, 2), Verdict::Retry);
    assert_eq!((world.read(other.first), pager.figures().copied), (Some(1), 1));
    pager.release(one).unwrap();
    assert_eq!(write(&pager, &world, other.first + 1, 3), Verdict::Retry);
    assert_eq!((world.read(other.first + 2), pager.figures().copied), (Some(9), 1));
    pager.release(other).unwrap();
}

#[test]
fn who_has_more_asks_for_more_at_once_and_keeps_as_much() {
    assert_eq!([0, 1024, 1026, 8000, 8192, 1 << 20].map(batch), [512, 512, 513, 4000, 4096, 4096]);
    let (pager, world) = pager(6000);
    let region = pager.make(Kind::Memory, 5000).unwrap();
    (0..5000).for_each(|page| assert_eq!(write(&pager, &world, region.first + page, 1), Verdict::Retry));
    let asked = world.0.borrow().asked.clone();
    let had = (0..).step_by(RUN as usize);
    assert!(asked.iter().zip(had).all(|(asked, had)| *asked == batch(had)), "{asked:?}");
    let had = pager.figures().frames;
    pager.release(region).unwrap();
    let stays = pager.figures().frames;
    assert!((batch(had)..batch(had) + RUN).contains(&stays), "{stays} of {had}");
    pager.give_back_unused().unwrap();
    assert_eq!((pager.figures().frames, world.0.borrow().left), (0, 6000));
}
