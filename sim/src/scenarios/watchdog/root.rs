//! Root, as far as the watchdog needs it: starts processes for who asks, and ends them. Counts whom it ends although they live.

use super::Part;
use crate::world::{Process, World};
use fos_messages::programs::{Order, Programs, ProgramsDispatcher, Refusal, Started};
use fos_messages::rpc::{Address, Context, Instead};
use fos_runtime::Priority;
use fos_runtime::port::Class;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The status of a program that was ended from outside.
const KILLED: u8 = 137;

/// What it does when it is told to end somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fencing {
    /// Ends it, then answers.
    Honest,
    /// Says that it has.
    Pretended,
}

/// Root.
pub(in crate::scenarios) struct Root {
    world: World,
    process: Process,
    started: RefCell<Vec<(String, Process)>>,
    fencing: Fencing,
    /// Who ended by being fenced.
    pub fenced: Cell<u64>,
    /// Who was running then.
    pub wronged: Cell<u64>,
    begin: RefCell<Option<Begin>>,
}

/// Runs what was started, in its process.
type Begin = Rc<dyn Fn(&Process, &Order) -> Part>;

impl Root {
    pub fn start(world: &World, core: u32, fencing: Fencing) -> Rc<Root> {
        let process = world.start("root", core);
        let (world, started, fenced, wronged, begin) =
            (world.clone(), Default::default(), Default::default(), Default::default(), Default::default());
        let root = Rc::new(Root { world, process, started, fencing, fenced, wronged, begin });
        root.process.runtime.serve(Class::External, ProgramsDispatcher::new(Rc::new(Service(root.clone()))));
        root
    }

    /// What processes do.
    pub fn begins(&self, begin: Begin) {
        *self.begin.borrow_mut() = Some(begin);
    }

    pub fn address(&self) -> Address {
        self.process.address(Class::External)
    }

    /// How many processes of a program run.
    pub fn running(&self, program: &str, is_meant: impl Fn(u64) -> bool) -> usize {
        let started = self.started.borrow();
        let of = started.iter().filter(|(name, _)| name == program).map(|(_, process)| process);
        of.filter(|process| process.is_running() && is_meant(process.identity.0)).count()
    }

    /// Whether any process of a program has not ended.
    pub fn any_alive(&self, program: &str) -> bool {
        self.started.borrow().iter().any(|(name, process)| name == program && process.is_alive())
    }

    /// Whether a process that was started has not ended.
    pub fn is_alive(&self, identity: u64) -> bool {
        let started = self.started.borrow();
        started.iter().any(|(_, process)| process.identity.0 == identity && process.is_alive())
    }

    /// Ends what is left of a program.
    pub fn end_all(&self, program: &str) {
        let started = self.started.borrow();
        started.iter().filter(|(name, _)| name == program).for_each(|(_, process)| process.end());
    }

    /// Starts a process of a program.
    pub fn run(self: &Rc<Self>, order: &Order) -> Started {
        let of = self.started.borrow().iter().filter(|(name, _)| *name == order.program).count();
        let process = self.world.start(&format!("{}-{of}", order.program), order.core.into());
        let number = self.started.borrow().len() as u64;
        self.started.borrow_mut().push((order.program.clone(), process.clone()));
        let part = self.begin.borrow().as_ref().map(|begin| begin(&process, order));
        let (own, root, name) = (process.clone(), self.clone(), order.program.clone());
        process.spawn(Priority::Normal, async move {
            if let Some(part) = part
                && let Err(reason) = part.await
                && !super::is_late(&reason)
            {
                root.world.broken(format!("process {} of {name} ended: {reason}", own.identity.0));
            }
            own.end();
        });
        Started { number, identity: process.identity.0, core: order.core }
    }

    fn find(&self, number: u64) -> Result<Process, Refusal> {
        let started = self.started.borrow();
        started.get(number as usize).map(|(_, process)| process.clone()).ok_or(Refusal::NotYours)
    }
}

struct Service(Rc<Root>);

impl Programs for Service {
    fn start(&self, _: Context, order: Order) -> Result<Started, Instead<Refusal>> {
        let order = Order { core: order.core % self.0.world.cores() as u16, ..order };
        Ok(self.0.run(&order))
    }

    async fn end(&self, _: Context, number: u64) -> Result<u8, Instead<Refusal>> {
        let process = self.0.find(number)?;
        self.0.process.runtime.outlive(&process.address(Class::External)).await;
        Ok(KILLED)
    }

    fn stop(&self, _: Context, number: u64) -> Result<(), Instead<Refusal>> {
        self.0.find(number)?.end();
        Ok(())
    }

    fn fence(&self, context: Context, identity: u64) -> Result<(), Instead<Refusal>> {
        let of = |wanted: u64| {
            let started = self.0.started.borrow();
            started.iter().map(|(_, process)| process).find(|process| process.identity.0 == wanted).cloned()
        };
        // Who has ended is not heard any more: of two that would fence each other one is left.
        if !of(context.sender.0).is_some_and(|asker| asker.is_alive()) {
            return Err(Refusal::NotEntitled.into());
        }
        let Some(process) = of(identity).filter(Process::is_alive) else { return Ok(()) };
        if self.0.fencing == Fencing::Pretended {
            return Ok(());
        }
        self.0.fenced.set(self.0.fenced.get() + 1);
        self.0.wronged.set(self.0.wronged.get() + u64::from(process.is_running()));
        process.end();
        Ok(())
    }
}
