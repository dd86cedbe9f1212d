//! A machine under QEMU: started, listened to, spoken to, and ended. Its first serial port is the console, text for
//! people, kept line by line with addresses of backtraces resolved; its second is the control link to root
//! (`fos_messages::control`). Both are socket pairs inherited by QEMU, so nothing is left in the file system.
//!
//! One thread per port turns bytes into [`Event`]s on one channel; everything that waits reads that channel with a
//! deadline, so a machine that dies or stalls is noticed wherever it happens.

use crate::children::Child;
use crate::failure::{Code, Context, Failure, Result};
use fos_messages::control::{PROTOCOL_VERSION, RequestId, Row, Subject, ToGuest, ToHost};
use fos_messages::frame::{Decoder, FrameError, encode};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub mod accelerator;
pub mod console;
pub mod door;
pub mod ending;
pub mod input;
pub mod qemu;
pub mod symbols;

pub use accelerator::Accelerator;
pub use console::{Console, Show};
pub use ending::Ending;
pub use qemu::{Model, Options};

/// Something that a machine did.
#[derive(Debug)]
pub enum Event {
    /// A line on the console, resolved; also kept in [`Console`].
    Console(String),
    /// A message over the control link, and when it came.
    Control(ToHost, Instant),
    /// Bytes on the control link that are no message.
    Garbled(FrameError),
    /// The control link closed: QEMU ended or is about to.
    Closed,
}

/// What root said when it was ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Cores that are up.
    pub cores: u16,
    /// The image's name.
    pub image: String,
    /// From the start of QEMU to the message.
    pub after: Duration,
}

/// A running machine. Dropping it ends QEMU.
#[derive(Debug)]
pub struct Machine {
    child: Child,
    started: Instant,
    control: Arc<Mutex<UnixStream>>,
    /// The way in for other commands, if it was opened.
    door: Option<door::Door>,
    visitors: Arc<door::Visitors>,
    events: Receiver<Event>,
    console: Console,
    errors: Option<std::thread::JoinHandle<String>>,
    next_request: RequestId,
}

/// How long a write to the control link may wait for a guest that does not read.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// How long QEMU may take to end after the guest has asked for it.
const END_WITHIN: Duration = Duration::from_secs(10);

impl Machine {
    /// Starts QEMU. Lines of the console go to `show` as they come.
    pub fn start(options: &Options, show: Show) -> Result<Machine> {
        let (console_port, console_inside) = UnixStream::pair().doing("making the console's socket")?;
        let (control, control_inside) = UnixStream::pair().doing("making the control link's socket")?;
        control.set_write_timeout(Some(WRITE_WITHIN)).doing("preparing the control link")?;
        let inside = [console_inside.into(), control_inside.into()];
        let mut command = qemu::command(options, &inside);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = Child::start(&mut command, &[&inside[0], &inside[1]])?;
        drop(inside);
        let errors = child.process().stderr.take().map(text_reader);
        let (sender, events) = channel();
        let console = Console::listen(console_port, options.symbols.clone(), show, sender.clone());
        let reader = control.try_clone().doing("preparing the control link")?;
        let (visitors, control) = (Arc::new(door::Visitors::default()), Arc::new(Mutex::new(control)));
        let (listening, answering) = (visitors.clone(), control.clone());
        std::thread::spawn(move || listen(reader, &sender, &listening, &answering));
        let (door, next_request) = (None, 1);
        Ok(Machine { child, started, control, door, visitors, events, console, errors, next_request })
    }

    /// Lets other commands of `fos` reach it from now on.
    pub fn open_door(&mut self) -> Result<()> {
        self.door = Some(door::Door::open(self.control.clone(), self.visitors.clone())?);
        Ok(())
    }

    /// What the console said so far.
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// QEMU's process number.
    pub fn process_id(&mut self) -> u32 {
        self.child.process().id()
    }

    /// The next thing the machine does, or `None` at the deadline.
    pub fn next_event(&mut self, deadline: Instant) -> Option<Event> {
        match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Event::Closed),
        }
    }

    /// Waits until root is ready for commands.
    pub fn wait_ready(&mut self, within: Duration) -> Result<Ready> {
        let deadline = self.started + within;
        loop {
            match self.next_event(deadline) {
                Some(Event::Control(ToHost::Ready { protocol, cores, image }, at)) => {
                    check_protocol(protocol)?;
                    return Ok(Ready { cores, image, after: at - self.started });
                }
                Some(Event::Closed) => return Err(self.died("before it was ready")),
                Some(_) => {}
                None => return Err(self.stalled(within)),
            }
        }
    }

    /// Sends a message to root.
    pub fn send(&mut self, message: &ToGuest) -> Result<()> {
        let frame = encode(message).doing("encoding a message to the guest")?;
        let mut control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        control.write_all(&frame).doing("writing to the control link")
    }

    /// A number for a new request.
    pub fn request_id(&mut self) -> RequestId {
        self.next_request += 1;
        self.next_request - 1
    }

    /// Runs a command of the image to its end, and answers its exit status; `output` gets the stream's number and
    /// what was written. It has no input. `Err` with [`Code::NotFound`] when it never started.
    pub fn run(
        &mut self,
        command: &[String],
        within: Option<Duration>,
        output: impl FnMut(u8, &[u8]) -> Result<()>,
    ) -> Result<i32> {
        self.run_with(command, std::io::empty(), within, output)
    }

    /// As [`run`](Self::run), with what the command reads.
    pub fn run_with(
        &mut self,
        command: &[String],
        input: impl Read + Send + 'static,
        within: Option<Duration>,
        mut output: impl FnMut(u8, &[u8]) -> Result<()>,
    ) -> Result<i32> {
        let id = self.request_id();
        let input = input::Input::from(input, self.control.clone(), id);
        self.send(&ToGuest::Run { id, command: command.to_vec() })?;
        let deadline = within.map(|within| Instant::now() + within);
        loop {
            match self.next_event(deadline.unwrap_or_else(far_future)) {
                Some(Event::Control(ToHost::Output { id: of, stream, bytes }, _)) if of == id => {
                    output(stream, &bytes)?;
                }
                Some(Event::Control(ToHost::Reads { id: of }, _)) if of == id => input.read(),
                Some(Event::Control(ToHost::Exited { id: of, status }, _)) if of == id => return Ok(status),
                Some(Event::Control(ToHost::Failed { id: of, reason }, _)) if of == id => {
                    return Err(Failure::new(Code::NotFound, reason));
                }
                Some(Event::Closed) => return Err(self.died(&format!("while {} ran", command[0]))),
                None if deadline.is_some() => return Err(self.too_long(&command[0], within)),
                _ => {}
            }
        }
    }

    /// Asks root for a part of the system's state.
    pub fn query(&mut self, what: Subject, within: Duration) -> Result<Vec<Row>> {
        let id = self.request_id();
        self.send(&ToGuest::Query { id, what })?;
        let deadline = Instant::now() + within;
        loop {
            match self.next_event(deadline) {
                Some(Event::Control(ToHost::State { id: of, rows }, _)) if of == id => return Ok(rows),
                Some(Event::Control(ToHost::Failed { id: of, reason }, _)) if of == id => {
                    return Err(Failure::new(Code::Failed, reason));
                }
                Some(Event::Closed) => return Err(self.died("while its state was asked for")),
                Some(_) => {}
                None => return Err(self.too_long("root", Some(within))),
            }
        }
    }

    /// Waits until the console says a line that holds `text`, also if it already has.
    pub fn wait_console(&mut self, text: &str, within: Duration) -> Result<String> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(line) = self.console.find(text) {
                return Ok(line);
            }
            match self.next_event(deadline) {
                Some(Event::Closed) => {
                    // The console's last lines may still be on their way.
                    self.console.wait_end(END_WITHIN);
                    let found = self.console.find(text);
                    return found.ok_or_else(|| self.died(&format!("before its console said {text:?}")));
                }
                Some(_) => {}
                None => {
                    let message = format!("the console did not say {text:?} within {} s", within.as_secs());
                    return Err(Failure::new(Code::TimedOut, self.with_tail(message)));
                }
            }
        }
    }

    /// Ends the machine in order, and answers how it ended.
    pub fn power_off(mut self) -> Result<Ending> {
        self.send(&ToGuest::PowerOff { status: fos_abi::exit::ORDERLY })?;
        self.wait_ending(END_WITHIN)
    }

    /// Waits until QEMU has ended by itself.
    pub fn wait_ending(&mut self, within: Duration) -> Result<Ending> {
        let Some(status) = self.child.wait_until(Instant::now() + within) else {
            let message = format!("the machine did not end within {} s", within.as_secs());
            return Err(Failure::new(Code::TimedOut, self.with_tail(message)));
        };
        self.console.wait_end(END_WITHIN);
        Ok(Ending::of(status))
    }

    /// Whether QEMU still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().is_none()
    }

    fn died(&mut self, when: &str) -> Failure {
        let ending = self.wait_ending(END_WITHIN);
        let how = ending.map_or_else(|failure| failure.message, |ending| ending.to_string());
        let errors = self.errors.take().and_then(|reader| reader.join().ok()).unwrap_or_default();
        let mut message = format!("the machine ended {when}: {how}");
        if !errors.trim().is_empty() {
            message = format!("{message}\n{}", errors.trim());
        }
        Failure::new(Code::Failed, self.with_tail(message))
    }

    fn stalled(&mut self, within: Duration) -> Failure {
        let waits_for = match self.console.last() {
            None => "the kernel's first line on the console".to_owned(),
            Some(line) => format!("root to say it is ready; the console's last line is {line:?}"),
        };
        let message =
            format!("the boot stalled: after {} s fos still waits for {waits_for}", within.as_secs());
        Failure::new(Code::TimedOut, self.with_tail(message))
    }

    fn too_long(&self, who: &str, within: Option<Duration>) -> Failure {
        let seconds = within.unwrap_or_default().as_secs_f64();
        Failure::new(Code::TimedOut, self.with_tail(format!("{who} did not end within {seconds:.0} s")))
    }

    fn with_tail(&self, message: String) -> String {
        let tail = self.console.tail(12);
        if tail.is_empty() { message } else { format!("{message}\nconsole:\n  {}", tail.join("\n  ")) }
    }
}

/// A deadline for waits that only the machine's end or the user's Ctrl-C ends.
fn far_future() -> Instant {
    Instant::now() + Duration::from_secs(365 * 24 * 3600)
}

fn check_protocol(found: u16) -> Result<()> {
    if found == PROTOCOL_VERSION {
        return Ok(());
    }
    let message = format!("the guest speaks version {found} of the control link, not {PROTOCOL_VERSION}");
    Err(Failure::new(Code::Conflict, message).hint("run: ./fos build"))
}

fn listen(
    mut port: UnixStream,
    events: &Sender<Event>,
    visitors: &door::Visitors,
    control: &Mutex<UnixStream>,
) {
    let mut decoder = Decoder::<ToHost>::new();
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = port.read(&mut buffer) {
        for outcome in decoder.push_all(&buffer[..length]) {
            let event = match outcome {
                // A visitor's command has no input.
                Ok(ToHost::Reads { id }) if door::is_visitors(id) => {
                    input::give(control, id, &[]);
                    None
                }
                Ok(message) => visitors.take(message).map(|message| Event::Control(message, Instant::now())),
                Err(error) => Some(Event::Garbled(error)),
            };
            event.into_iter().for_each(|event| drop(events.send(event)));
        }
    }
    let _ = events.send(Event::Closed);
}

fn text_reader(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
