//! The client: calls that are answered, a call whose server ends, a successor.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use fos_messages::programs::{Order, ProgramsClient, Started};
use fos_messages::rpc::{Address, CallError};
use fos_runtime::port::Port;
use fos_runtime::{Priority, Within};
use libfos::clock::Clock;
use libfos::memory::Memory;
use libfos::root::{Root, programs};
use libfos::server::Server;
use libfos::{Start, println};

use crate::fleet::{self, PATIENCE};
use crate::server::NAME;
use fos_demo::protocol::AdderClient;

/// Calls in a row, and calls at once in as many rows.
const CALLS: u64 = 1000;
const AT_ONCE: u64 = 32;
/// How long the server has to take up a call before it is ended.
const BEFORE_THE_END: Duration = Duration::from_millis(20);
/// The status of a program that is ended from outside: 128 + signal 9.
const KILLED: u8 = 137;

/// What the client has.
struct Demo<'a> {
    start: &'a Start,
    memory: Memory,
    server: Server,
    caller: Within,
    root: ProgramsClient<Within>,
}

/// Shows it all.
pub fn run(start: &Start) -> Result<(), String> {
    let mut memory = Memory::of_program(start).map_err(|error| format!("{error:?}"))?;
    let server = Server::create(&mut memory, start).map_err(|error| error.to_string())?;
    let caller = server.runtime.within(PATIENCE);
    let root = programs(start).ok_or("the image does not let the client start programs")?;
    let root = ProgramsClient::new(caller.clone(), root);
    let mut demo = Demo { start, memory, server, caller, root };
    let (first, to) = demo.start_server(2)?;
    demo.ask_in_a_row(to)?;
    demo.ask_at_once(to)?;
    demo.end_under_a_call(first, to)?;
    let (_, to) = demo.start_server(3)?;
    demo.ask_in_a_row(to)?;
    fleet::run(start, &demo.server)
}

/// Shows a fleet under watch.
pub fn run_watched(start: &Start) -> Result<(), String> {
    let mut memory = Memory::of_program(start).map_err(|error| format!("{error:?}"))?;
    let server = Server::create(&mut memory, start).map_err(|error| error.to_string())?;
    fleet::run_watched(start, &server)
}

/// Ends every server of every fleet under load.
pub fn run_repaired(start: &Start) -> Result<(), String> {
    run_whole(start, async |demo, memory| demo.show_repaired(memory).await)
}

/// Waits for a core to stop under load.
pub fn run_stopped(start: &Start) -> Result<(), String> {
    let core = start.arguments.get(2).and_then(|core| core.parse().ok()).ok_or("say which core will stop")?;
    run_whole(start, async move |demo, memory| demo.show_stopped(memory, core).await)
}

fn run_whole(
    start: &Start,
    show: impl AsyncFnOnce(&fleet::Demo, Memory) -> Result<(), String> + 'static,
) -> Result<(), String> {
    let mut memory = Memory::of_program(start).map_err(|error| format!("{error:?}"))?;
    let server = Server::create(&mut memory, start).map_err(|error| error.to_string())?;
    let demo = fleet::prepare(start, &server)?;
    server.block_on(async move { show(&demo, memory).await })
}

impl Demo<'_> {
    fn start_server(&mut self, core: u16) -> Result<(Started, Address), String> {
        let order = Order { program: "demo-server".into(), arguments: vec!["server".into()], core };
        let root = self.root.clone();
        let started = self
            .server
            .block_on(async move { root.start(&order).await })
            .map_err(|error| format!("root does not start the server: {error}"))?;
        let deadline = Clock::new(self.start.tsc_hz).after(PATIENCE);
        let to = Root::of_program(self.start)
            .and_then(|root| root.find(&mut self.memory, NAME, deadline))
            .map_err(|error| error.to_string())?;
        println!(
            "fleet: the client on core {} had a server started on core {}",
            self.start.core, started.core
        );
        Ok((started, to))
    }

    fn ask_in_a_row(&self, to: Address) -> Result<(), String> {
        let adder = AdderClient::new(self.caller.clone(), to);
        let asked = self.server.block_on(async move {
            for number in 0..CALLS {
                check(adder.add(number, 1).await, number + 1)?;
            }
            Ok::<(), String>(())
        });
        asked.map(|()| println!("fleet: {CALLS} calls one after the other, each answered"))
    }

    fn ask_at_once(&self, to: Address) -> Result<(), String> {
        let (left, failure) = (Rc::new(Cell::new(AT_ONCE)), Rc::new(RefCell::new(None)));
        for row in 0..AT_ONCE {
            let adder = AdderClient::new(self.caller.clone(), to);
            let (left, failure) = (left.clone(), failure.clone());
            self.server.runtime.spawn(Priority::Normal, async move {
                for number in 0..CALLS / AT_ONCE {
                    if let Err(reason) = check(adder.add(number, row).await, number + row) {
                        *failure.borrow_mut() = Some(reason);
                    }
                }
                left.set(left.get() - 1);
            });
        }
        let runtime = self.server.runtime.clone();
        self.server.block_on(async move {
            while left.get() > 0 {
                runtime.sleep(Duration::from_millis(1)).await;
            }
        });
        match failure.take() {
            Some(reason) => Err(reason),
            None => {
                println!("fleet: {AT_ONCE} calls at once, again and again, each answered");
                Ok(())
            }
        }
    }

    fn end_under_a_call(&self, server: Started, to: Address) -> Result<(), String> {
        let (runtime, root) = (self.server.runtime.clone(), self.root.clone());
        let adder = AdderClient::new(self.caller.clone(), to);
        let outcome = Rc::new(RefCell::new(None));
        let place = outcome.clone();
        runtime.spawn(Priority::Normal, async move {
            let ended = adder.hang().await;
            *place.borrow_mut() = Some(ended);
        });
        let port = self.server.port.clone();
        let (status, took) = self
            .server
            .block_on(async move {
                runtime.sleep(BEFORE_THE_END).await;
                let began = port.now();
                root.stop(server.number).await?;
                let status = root.end(server.number).await?;
                while outcome.borrow().is_none() {
                    runtime.sleep(Duration::from_millis(1)).await;
                }
                let lost = matches!(*outcome.borrow(), Some(Err(CallError::PeerLost)));
                Ok(lost.then(|| (status, port.now().since(began))))
            })
            .map_err(|error: CallError<_>| format!("root does not end the server: {error}"))?
            .ok_or("the call to the ended server did not end with PeerLost")?;
        if status != KILLED {
            return Err(format!("the server ended with status {status}"));
        }
        println!(
            "fleet: the server was ended under a call, which ended with PeerLost in {} us",
            took.as_micros()
        );
        Ok(())
    }
}

fn check(answer: Result<u64, CallError>, expected: u64) -> Result<(), String> {
    match answer {
        Ok(sum) if sum == expected => Ok(()),
        Ok(sum) => Err(format!("the server answered {sum} instead of {expected}")),
        Err(error) => Err(format!("a call failed: {error:?}")),
    }
}
