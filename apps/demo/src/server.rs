//! The server: an interface, a name, and the loop.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::time::Duration;

use fos_messages::rpc::wire::Scalar;
use fos_messages::rpc::{AnswerBody, Context, Interface, Served};
use fos_runtime::Serve;
use fos_runtime::port::{Class, Port};
use libfos::Start;
use libfos::clock::Clock;
use libfos::memory::Memory;
use libfos::root::Root;
use libfos::server::Server;

use crate::protocol::{ADD, Adder, HANG};

/// The name under which the server can be found.
pub const NAME: &str = "demo";
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves until somebody ends it.
pub fn run(start: &Start) -> Result<(), String> {
    let mut memory = Memory::of_program(start).map_err(|error| alloc::format!("{error:?}"))?;
    let server = Server::create(&mut memory, start).map_err(|error| error.to_string())?;
    server.runtime.serve(Class::External, Adder::ID, Rc::new(Adder));
    let key = server.port.address(Class::External).key;
    let root = Root::of_program(start).map_err(|error| error.to_string())?;
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    root.register(NAME, key, deadline).map_err(|error| error.to_string())?;
    server.run()
}

impl Serve for Adder {
    fn serve(self: Rc<Self>, operation: u16, _: Context, body: &[u8]) -> Served {
        match operation {
            ADD => {
                let mut rest = body;
                let (Some(one), Some(other), []) = (u64::read(&mut rest), u64::read(&mut rest), rest) else {
                    return Served::Malformed;
                };
                let sum = one.wrapping_add(other);
                Served::Task(Box::pin(async move { AnswerBody::Done(sum.to_le_bytes().to_vec()) }))
            }
            HANG => Served::Task(Box::pin(core::future::pending())),
            _ => Served::Unknown,
        }
    }
}
