//! Where members are started, when root starts none on some core.

use super::world::{Node, World};
use crate::fleet::{ByPrograms, Growth};
use crate::port::Class;
use crate::{Priority, Runtime};
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;
use fos_messages::programs::{Order, Programs, ProgramsClient, ProgramsDispatcher, Refusal, Started};
use fos_messages::rpc::{Context, Instead};

/// Starts programs, but on one core.
struct Root {
    broken: u16,
    asked: RefCell<Vec<u16>>,
}

impl Programs for Root {
    fn start(&self, _: Context, order: Order) -> Result<Started, Instead<Refusal>> {
        self.asked.borrow_mut().push(order.core);
        if order.core == self.broken {
            return Err(Refusal::NotStarted.into());
        }
        let number = self.asked.borrow().len() as u64;
        Ok(Started { number, identity: 100 + number, core: order.core })
    }
    async fn end(&self, _: Context, _: u64) -> Result<u8, Instead<Refusal>> {
        Err(Refusal::NotYours.into())
    }
    fn stop(&self, _: Context, _: u64) -> Result<(), Instead<Refusal>> {
        Err(Refusal::NotYours.into())
    }
    fn fence(&self, _: Context, _: u64) -> Result<(), Instead<Refusal>> {
        Err(Refusal::NotEntitled.into())
    }
}

fn grow(world: &World, runtime: &Runtime, growth: &Rc<ByPrograms>) -> bool {
    let (has_grown, growth) = (Rc::new(RefCell::new(None)), growth.clone());
    let told = has_grown.clone();
    runtime.spawn(Priority::Normal, async move {
        *told.borrow_mut() = Some(growth.grow(None, Vec::new()).await.is_ok());
    });
    world.run();
    let has_grown = *has_grown.borrow();
    has_grown.expect("it was answered")
}

#[test]
fn a_core_on_which_nothing_starts_is_tried_once_and_then_last() {
    let world = World::default();
    let (Node { runtime, .. }, root) = (world.node(), world.node());
    let service = Rc::new(Root { broken: 3, asked: RefCell::default() });
    root.runtime.serve(Class::External, ProgramsDispatcher::new(service.clone()));
    let client = ProgramsClient::new(
        runtime.within(Duration::from_secs(1)),
        root.runtime.port().address(Class::External),
    );
    let order = Order { program: String::from("member"), arguments: Vec::new(), core: 0 };
    let growth = ByPrograms::new(client, order, vec![3, 5]);
    let grown: Vec<bool> = (0..3).map(|_| grow(&world, &runtime, &growth)).collect();
    assert_eq!(grown, [false, true, true]);
    assert_eq!(*service.asked.borrow(), [3, 5, 5]);
}
