//! What the owner's records are told by a member's service, and what not.

use super::town::block;
use crate::service::Coming;
use crate::{Block, FreeError, Question, Records, Service};
use fos_carrier::Switchboard;
use fos_carrier::harness::{Process, Processes};
use fos_container::{Epoch, Member};
use fos_runtime::Priority;
use fos_runtime::port::Class;
use std::boxed::Box;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;
use std::vec;
use std::vec::Vec;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Out(Block),
    Back(Block),
}

#[derive(Default)]
struct Owner(RefCell<Vec<Told>>);

impl Records for Owner {
    fn handed_out(&self, block: Block) {
        self.0.borrow_mut().push(Told::Out(block));
    }

    fn given_back(&self, block: Block) {
        self.0.borrow_mut().push(Told::Back(block));
    }

    fn inside(&self, _: Question) -> Coming<Vec<Range<u64>>> {
        Box::pin(std::future::ready(Vec::new()))
    }
}

/// The first of these processes has blocks, and the others are members of which nothing is heard.
fn first_of(processes: &[Process]) -> (Rc<Service>, Rc<Owner>) {
    let owner = Rc::new(Owner::default());
    let service = Service::new(&Switchboard::new(&processes[0].runtime), 1, owner.clone());
    let seat = |process: &Process| (Member(process.identity.0), process.address(Class::Internal));
    service.carrier().begin(Epoch(1), &processes.iter().map(seat).collect::<Vec<_>>());
    (service, owner)
}

/// Frees a block, and takes out what the records were told.
fn free(world: &Processes, process: &Process, service: &Rc<Service>, freed: Block) -> Result<(), FreeError> {
    let outcome = Rc::new(RefCell::new(None));
    let (service, told) = (service.clone(), outcome.clone());
    process.runtime.spawn(Priority::Normal, async move {
        let freed = service.free(freed).await;
        *told.borrow_mut() = Some(freed);
    });
    world.run_for(Duration::from_millis(1));
    outcome.take().expect("a free is answered at once")
}

#[test]
fn what_is_not_taken_back_is_as_outside_as_it_was() {
    let world = Processes::default();
    let process = world.start();
    let (service, owner) = first_of(std::slice::from_ref(&process));
    assert_eq!(free(&world, &process, &service, block((8, 0))), Ok(()));
    assert_eq!(owner.0.take(), [Told::Back(block((8, 0)))]);
    assert_eq!(free(&world, &process, &service, block((8, 1))), Err(FreeError::Overlap));
    assert_eq!(owner.0.take(), [], "frame 9 is somebody's still");
    service.carrier().leave();
    assert_eq!(free(&world, &process, &service, block((16, 0))), Err(FreeError::NotServing));
    assert_eq!(owner.0.take(), []);
}

#[test]
fn what_goes_out_again_at_once_has_been_given_back_before() {
    let world = Processes::default();
    let processes = [world.start(), world.start()];
    let (service, owner) = first_of(&processes);
    let waiting = service.clone();
    processes[0].runtime.spawn(Priority::Normal, async move { _ = waiting.allocate(0).await });
    world.run_for(Duration::from_millis(1));
    assert_eq!(free(&world, &processes[0], &service, block((8, 0))), Ok(()));
    assert_eq!(owner.0.take(), [Told::Back(block((8, 0))), Told::Out(block((8, 0)))]);
}

#[test]
fn what_nobody_waits_for_any_more_goes_back_also_when_the_member_leaves() {
    for leaves in [false, true] {
        let world = Processes::default();
        let processes = [world.start(), world.start()];
        let (service, owner) = first_of(&processes);
        // Taken in the step that frees it, and given up before it is looked at.
        let mut taking = Box::pin({
            let service = service.clone();
            async move { service.allocate(0).await }
        });
        let waker = std::task::Waker::noop();
        assert!(taking.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
        assert_eq!(free(&world, &processes[0], &service, block((8, 0))), Ok(()));
        assert_eq!(owner.0.take(), vec![Told::Back(block((8, 0))), Told::Out(block((8, 0)))]);
        if leaves {
            service.carrier().leave();
        }
        drop(taking);
        assert_eq!(owner.0.take(), [Told::Back(block((8, 0)))], "leaves: {leaves}");
    }
}
