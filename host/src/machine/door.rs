//! How other `fos` commands reach a machine that runs already: whoever started it opens a socket, `.fos/machines/PID`, through
//! which each connection has one command of the image run. Output and end come back as on the control link, of which the
//! door uses request numbers of its own. Only this user can connect, since the folder is the user's; the file goes when the
//! machine does, and one that was left behind is removed by whoever finds nobody behind it.

use crate::failure::{Code, Context, Failure, Result};
use crate::repository;
use fos_messages::control::{RequestId, ToGuest, ToHost};
use fos_messages::frame::{Decoder, encode};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Request numbers from here on are the door's.
const FIRST_REQUEST: RequestId = 1 << 31;
/// Commands that run through the door at once.
const COMMANDS_MAX: usize = 16;
/// How long a connection may take to say what it wants, and to take what it is told.
const TALKS_WITHIN: Duration = Duration::from_secs(10);

/// Whether a request is a visitor's.
pub fn is_visitors(id: RequestId) -> bool {
    id >= FIRST_REQUEST
}

/// Who waits for what root says of a request.
#[derive(Debug, Default)]
pub struct Visitors(Mutex<(RequestId, BTreeMap<RequestId, UnixStream>)>);

impl Visitors {
    /// Passes on what is for a visitor; gives back what is not.
    pub fn take(&self, message: ToHost) -> Option<ToHost> {
        let id = match &message {
            ToHost::Started { id }
            | ToHost::Output { id, .. }
            | ToHost::Exited { id, .. }
            | ToHost::Failed { id, .. }
            | ToHost::State { id, .. }
            | ToHost::Reads { id } => *id,
            ToHost::Ready { .. } => return Some(message),
        };
        if !is_visitors(id) {
            return Some(message);
        }
        let is_last = matches!(message, ToHost::Exited { .. } | ToHost::Failed { .. });
        let mut visitors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(visitor) = visitors.1.get_mut(&id) {
            let told = encode(&message).ok().is_some_and(|frame| visitor.write_all(&frame).is_ok());
            if is_last || !told {
                visitors.1.remove(&id);
            }
        }
        None
    }

    /// A number for a visitor's command, if there is room for one more.
    fn enter(&self, visitor: UnixStream) -> Option<RequestId> {
        let mut visitors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if visitors.1.len() >= COMMANDS_MAX {
            return None;
        }
        let id = FIRST_REQUEST + visitors.0;
        visitors.0 += 1;
        visitors.1.insert(id, visitor);
        Some(id)
    }

    fn leave(&self, id: RequestId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&id);
    }
}

/// An open door. Dropping it takes its file away.
#[derive(Debug)]
pub struct Door(PathBuf);

impl Door {
    /// Opens it to a machine's control link.
    pub fn open(control: Arc<Mutex<UnixStream>>, visitors: Arc<Visitors>) -> Result<Door> {
        let path = folder()?.join(format!("{}-{}", std::process::id(), number()));
        let listener = UnixListener::bind(&path).doing(format_args!("opening {}", path.display()))?;
        std::thread::spawn(move || {
            while let Ok((visitor, _)) = listener.accept() {
                let (control, visitors) = (control.clone(), visitors.clone());
                std::thread::spawn(move || serve(visitor, &control, &visitors));
            }
        });
        Ok(Door(path))
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Machines of one process are told apart.
fn number() -> u32 {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

fn folder() -> Result<PathBuf> {
    repository::cache("machines")
}

/// Has a visitor's command run, and ends it when the visitor goes away before it has ended.
fn serve(mut visitor: UnixStream, control: &Mutex<UnixStream>, visitors: &Visitors) {
    let _ = visitor.set_read_timeout(Some(TALKS_WITHIN));
    let _ = visitor.set_write_timeout(Some(TALKS_WITHIN));
    let Some(ToGuest::Run { command, .. }) = read_one(&mut visitor) else { return };
    let Some(id) = visitor.try_clone().ok().and_then(|visitor| visitors.enter(visitor)) else { return };
    let send = |message: &ToGuest| {
        let frame = encode(message).ok();
        let mut control = control.lock().unwrap_or_else(PoisonError::into_inner);
        frame.is_some_and(|frame| control.write_all(&frame).is_ok())
    };
    if send(&ToGuest::Run { id, command }) {
        // Nothing more is said by the visitor: what ends this read is its going away, or ours after the last word.
        let _ = visitor.set_read_timeout(None);
        let _ = visitor.read(&mut [0]);
        send(&ToGuest::Kill { id });
    }
    visitors.leave(id);
}

fn read_one(visitor: &mut UnixStream) -> Option<ToGuest> {
    let (mut decoder, mut buffer) = (Decoder::<ToGuest>::new(), [0; 4096]);
    loop {
        let length = visitor.read(&mut buffer).ok().filter(|length| *length > 0)?;
        if let Some(outcome) = decoder.push_all(&buffer[..length]).next() {
            return outcome.ok();
        }
    }
}

/// Connects to the one machine that runs, or to that of this process number.
pub fn connect(process: Option<u32>) -> Result<UnixStream> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder()?).doing("looking for machines that run")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.split('-').next().and_then(|owner| owner.parse::<u32>().ok());
        if process.is_some() && owner != process {
            continue;
        }
        match UnixStream::connect(entry.path()) {
            Ok(stream) => found.push((owner.unwrap_or_default(), stream)),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => forget(&entry.path()),
            Err(_) => {}
        }
    }
    match found.len() {
        0 => Err(Failure::new(Code::NotFound, "no machine runs that fos has started from this tree")
            .hint("start one in another terminal: ./fos run --image fleet")),
        1 => Ok(found.swap_remove(0).1),
        _ => {
            let processes: Vec<String> = found.iter().map(|(process, _)| process.to_string()).collect();
            Err(Failure::new(Code::Conflict, "several machines run")
                .hint(format!("name one of them: --process {}", processes.join(" | "))))
        }
    }
}

fn forget(path: &Path) {
    let _ = std::fs::remove_file(path);
}

/// Runs a command in a machine that was connected to, and answers its status.
pub fn run(
    mut machine: UnixStream,
    command: Vec<String>,
    within: Duration,
    mut output: impl FnMut(u8, &[u8]) -> Result<()>,
) -> Result<i32> {
    let frame = encode(&ToGuest::Run { id: 0, command }).doing("encoding a command")?;
    machine.write_all(&frame).doing("asking the machine")?;
    let deadline = std::time::Instant::now() + within;
    let (mut decoder, mut buffer) = (Decoder::<ToHost>::new(), [0; 16 * 1024]);
    loop {
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            let message = format!("the machine did not answer within {} s", within.as_secs());
            return Err(Failure::new(Code::TimedOut, message));
        }
        machine.set_read_timeout(Some(left)).doing("waiting for the machine")?;
        let length = match machine.read(&mut buffer) {
            Ok(0) => return Err(Failure::new(Code::Failed, "the machine ended, or takes no more commands")),
            Ok(length) => length,
            Err(_) => continue,
        };
        for message in decoder.push_all(&buffer[..length]).flatten() {
            match message {
                ToHost::Output { stream, bytes, .. } => output(stream, &bytes)?,
                ToHost::Exited { status, .. } => return Ok(status),
                ToHost::Failed { reason, .. } => return Err(Failure::new(Code::NotFound, reason)),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_hears_of_its_own_command_and_nothing_else() {
        let (control, mut root) = UnixStream::pair().unwrap();
        let visitors = Arc::new(Visitors::default());
        let door = Door::open(Arc::new(Mutex::new(control)), visitors.clone()).unwrap();
        let path = door.0.clone();
        let asker = std::thread::spawn(move || {
            let (mut said, machine) = (Vec::new(), UnixStream::connect(path).unwrap());
            let status = run(machine, vec!["names".to_owned()], TALKS_WITHIN, |_, bytes| {
                said.extend_from_slice(bytes);
                Ok(())
            });
            (status, said)
        });
        root.set_read_timeout(Some(TALKS_WITHIN)).unwrap();
        let Some(ToGuest::Run { id, command }) = read_one(&mut root) else { panic!("no command came") };
        assert_eq!((id, command), (FIRST_REQUEST, vec!["names".to_owned()]));
        let own = ToHost::Exited { id: 1, status: 0 };
        assert_eq!(visitors.take(own.clone()), Some(own), "what is not for a visitor is left alone");
        let told = [
            ToHost::Started { id },
            ToHost::Output { id, stream: 1, bytes: b"/demo".to_vec() },
            ToHost::Exited { id, status: 3 },
        ];
        told.into_iter().for_each(|message| assert_eq!(visitors.take(message), None));
        assert_eq!(asker.join().unwrap(), (Ok(3), b"/demo".to_vec()));
        let path = door.0.clone();
        drop(door);
        assert!(!path.exists());
    }

    #[test]
    fn whoever_goes_away_has_its_command_ended() {
        let (control, mut root) = UnixStream::pair().unwrap();
        let door = Door::open(Arc::new(Mutex::new(control)), Arc::default()).unwrap();
        let mut visitor = UnixStream::connect(&door.0).unwrap();
        visitor
            .write_all(&encode(&ToGuest::Run { id: 0, command: vec!["names".to_owned()] }).unwrap())
            .unwrap();
        root.set_read_timeout(Some(TALKS_WITHIN)).unwrap();
        assert!(matches!(read_one(&mut root), Some(ToGuest::Run { .. })));
        drop(visitor);
        assert_eq!(read_one(&mut root), Some(ToGuest::Kill { id: FIRST_REQUEST }));
    }
}
