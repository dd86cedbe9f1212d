//! A hierarchical name, found by programs without a runtime, in Rust and in C: this one starts naming, registers a plain mailbox
//! below a directory, and answers what comes there.

use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use fos_abi::Identity;
use fos_abi::key::KeyRights;
use fos_messages::names::{DirectoryKey, Entry, Path, STARTER};
use fos_messages::programs::{Order, ProgramsClient, Started};
use fos_messages::rpc::{Address, CallError};
use fos_messages::start::KeyBytes;
use fos_naming::starter::Starter;
use fos_runtime::port::{Class, Port};
use fos_runtime::{Names, Within};
use libfos::Start;
use libfos::clock::Clock;
use libfos::mailbox::{Mailbox, Sender};
use libfos::memory::Memory;
use libfos::root::{Root, programs};
use libfos::server::Server;

use crate::{Outcome, line};

const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Where naming and the askers run.
const NAMING_CORE: u16 = 2;
const ASKER_CORE: u16 = 3;
/// The name, and programs of the image that ask for it.
const NAME: &str = "/demo/echo";
const ASKERS: [&str; 2] = ["echo", "hello-c"];

/// Has both ask, and answers until both have ended well.
pub fn are_found(start: &Start) -> Outcome {
    let mut memory = Memory::of_program(start).map_err(line)?;
    let server = Server::create(&mut memory, start).map_err(line)?;
    let root = programs(start).ok_or("the image does not let it start programs")?;
    let root = ProgramsClient::new(server.runtime.within(PATIENCE), root);
    let mut mailbox = Mailbox::create(&mut memory, 64, 16).map_err(line)?;
    let key = mailbox.key(KeyRights::SEND.with(KeyRights::WATCH), 0).map_err(line)?;
    let address = Address { key, identity: Identity(start.identity) };
    // Begun before there is such a name, or naming: who looks a name up waits for it.
    let askers = ASKERS.map(|program| order(&server, &root, program, &["ask", NAME], ASKER_CORE));
    register(start, &server, &root, address)?;
    for asker in askers {
        let (asker, root) = (asker?, root.clone());
        let ended = Rc::new(core::cell::Cell::new(None));
        let told = ended.clone();
        server.runtime.spawn(fos_runtime::Priority::Normal, async move {
            told.set(Some(root.end(asker.number).await));
        });
        loop {
            answer_all(&mut mailbox);
            match ended.take() {
                None => server.block_on(server.runtime.sleep(LOOK_EVERY)),
                Some(Ok(0)) => break,
                Some(status) => return Err(alloc::format!("an asker of {NAME} ended with {status:?}")),
            }
        }
    }
    Ok(())
}

/// A question begins with the key to which the rest of it goes back.
fn answer_all(mailbox: &mut Mailbox) {
    while let Some(message) = mailbox.take() {
        if let Some((answer, bytes)) = message.bytes().split_first_chunk() {
            let _ = Sender::new(KeyBytes(*answer).into()).send(bytes);
        }
    }
}

fn order(
    server: &Server,
    root: &ProgramsClient<Within>,
    program: &str,
    words: &[&str],
    core: u16,
) -> Result<Started, String> {
    let arguments: Vec<String> = words.iter().map(ToString::to_string).collect();
    let (order, root) = (Order { program: program.into(), arguments, core }, root.clone());
    server.block_on(async move { root.start(&order).await }).map_err(line)
}

/// Starts naming, and is found there under the name.
fn register(start: &Start, server: &Server, root: &ProgramsClient<Within>, address: Address) -> Outcome {
    let (starter, root_key) = Starter::serve(&server.runtime);
    let own_key = DirectoryKey([server.port.random(), server.port.random()]);
    let deadline = Clock::new(start.tsc_hz).after(PATIENCE);
    Root::of_program(start)
        .and_then(|root| root.register(STARTER, server.port.address(Class::External).key, deadline))
        .map_err(line)?;
    let naming = order(server, root, "naming", &[], NAMING_CORE)?;
    starter.expect(Identity(naming.identity));
    while starter.serving().is_empty() {
        if deadline.has_passed() {
            return Err("naming does not begin".into());
        }
        server.block_on(server.runtime.sleep(LOOK_EVERY));
    }
    let names = Names::new(server.runtime.clone(), starter.serving(), (0, start.core as u16));
    let entry = Entry { address, machine: 0, core: start.core as u16, metadata: vec![] };
    let done = server.block_on(async move {
        let path = Path::new(NAME).map_err(|_| CallError::NotFound)?;
        let above = Path::new("/demo").map_err(|_| CallError::NotFound)?;
        names.make(&above, root_key, own_key, false).await?;
        names.make(&path, own_key, own_key, false).await?;
        names.register(&path, own_key, &entry).await
    });
    done.map_err(line)
}
