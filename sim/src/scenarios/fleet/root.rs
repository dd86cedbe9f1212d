//! Root, as far as the demo needs it: starts processes for who asks, tells of their ends, ends them.

use super::Dress;
use crate::world::{Process, World};
use fos_demo::process::{self, Heard, Process as Part};
use fos_messages::programs::{Order, Programs, ProgramsClient, ProgramsDispatcher, Refusal, Started};
use fos_messages::rpc::{Address, Context, Instead};
use fos_runtime::fleet::EnterError;
use fos_runtime::port::Class;
use fos_runtime::{Names, Priority};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

/// Who told what.
pub type Hear = Rc<dyn Fn(u64, Heard)>;

/// The status of a program that was ended from outside.
const KILLED: u8 = 137;

/// Root.
pub struct Root {
    world: World,
    process: Process,
    naming: Vec<Address>,
    /// Where members may run.
    cores: Vec<u16>,
    started: RefCell<Vec<Process>>,
    /// The numbers of those that ended by themselves.
    left: RefCell<BTreeSet<u64>>,
    members: Cell<u32>,
    hear: Hear,
    dress: Dress,
}

impl Root {
    pub fn start(
        world: &World,
        core: u32,
        naming: Vec<Address>,
        cores: Vec<u16>,
        hear: Hear,
        dress: Dress,
    ) -> Rc<Root> {
        let process = world.start("root", core);
        let (world, started, left, members) =
            (world.clone(), RefCell::default(), RefCell::default(), Cell::default());
        let root = Rc::new(Root { world, process, naming, cores, started, left, members, hear, dress });
        root.process.runtime.serve(Class::External, ProgramsDispatcher::new(Rc::new(Service(root.clone()))));
        root
    }

    pub fn address(&self) -> Address {
        self.process.address(Class::External)
    }

    /// Whether a process that was started has not ended.
    pub fn is_alive(&self, identity: u64) -> bool {
        self.started.borrow().iter().any(|process| process.identity.0 == identity && process.is_alive())
    }

    /// Processes by the roles they are started for.
    fn name(&self, role: &str) -> String {
        let number = self.members.get();
        if role != "member" {
            return format!("{role}-{}", self.started.borrow().len());
        }
        self.members.set(number + 1);
        format!("member-{number}")
    }

    fn begin(self: &Rc<Self>, order: Order) -> Process {
        let role = order.arguments.first().map_or("nobody", String::as_str);
        let started = self.world.start(&self.name(role), order.core.into());
        let (identity, hear) = (started.identity.0, self.hear.clone());
        let (runtime, before_it_opens) = (started.runtime.clone(), self.dress.before_it_opens);
        let part = Part {
            runtime: started.runtime.clone(),
            names: Names::new(started.runtime.clone(), self.naming.clone(), (0, order.core)),
            root: ProgramsClient::new(started.runtime.within(super::ROOT_WITHIN), self.address()),
            core: order.core,
            cores: self.cores.clone(),
            arguments: [order.program].into_iter().chain(order.arguments).collect(),
            policy: None,
            marks: self.dress.marks,
            say: |_| (),
            hear: Rc::new(move |heard| {
                if heard == Heard::Complete {
                    before_it_opens(&runtime);
                }
                hear(identity, heard);
            }),
        };
        let (own, root) = (started.clone(), self.clone());
        let number = self.started.borrow().len() as u64;
        started.spawn(Priority::Normal, async move {
            // One that was given up may come too late, when another has its place.
            let is_late = |reason: &String| *reason == EnterError::Full.to_string();
            if let Err(reason) = process::run(part).await
                && !is_late(&reason)
            {
                root.world.broken(format!("process {identity} ended: {reason}"));
            }
            root.left.borrow_mut().insert(number);
            own.end();
        });
        started
    }

    fn find(&self, number: u64) -> Result<Process, Refusal> {
        self.started.borrow().get(number as usize).cloned().ok_or(Refusal::NotYours)
    }
}

struct Service(Rc<Root>);

impl Programs for Service {
    fn start(&self, _: Context, order: Order) -> Result<Started, Instead<Refusal>> {
        let core = order.core;
        let process = self.0.begin(order);
        let number = self.0.started.borrow().len() as u64;
        let identity = process.identity.0;
        self.0.started.borrow_mut().push(process);
        Ok(Started { number, identity, core })
    }

    async fn end(&self, _: Context, number: u64) -> Result<u8, Instead<Refusal>> {
        let process = self.0.find(number)?;
        self.0.process.runtime.outlive(&process.address(Class::External)).await;
        Ok(if self.0.left.borrow().contains(&number) { 0 } else { KILLED })
    }

    fn stop(&self, _: Context, number: u64) -> Result<(), Instead<Refusal>> {
        self.0.find(number)?.end();
        Ok(())
    }

    fn fence(&self, _: Context, _: u64) -> Result<(), Instead<Refusal>> {
        // Nobody of the demo may.
        Err(Refusal::NotEntitled.into())
    }
}
