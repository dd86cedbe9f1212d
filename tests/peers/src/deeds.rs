//! The table of bad deeds. Each does one thing wrong, over and over, in ways that its seed chooses, and looks at what it
//! hears back; whether anybody else was harmed, the honest clients know.

use crate::attack::{Attack, Outcome, fits};
use crate::bodies::{self, BODY_MAX, Bodies};
use crate::till::{TillClient, TillInterface};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::pin::Pin;
use core::time::Duration;
use fos_abi::mailbox::MESSAGE_MAX;
use fos_messages::interfaces;
use fos_messages::names::{
    DirectoryKey, Entry, NameError, NamesClient, NamesInterface, Path, Policy, RequestNumber,
};
use fos_messages::rpc::{
    Address, CallError, Description, ENVELOPE_SIZE, Envelope, Interface, Kind, Part, Status, broadcast,
};
use fos_runtime::port::Class;

/// A deed under way.
pub type Doing<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// A bad deed.
#[derive(Clone, Copy)]
pub struct Deed {
    /// Its name in tables and commands.
    pub name: &'static str,
    /// Does it.
    pub run: for<'a> fn(&'a Attack) -> Doing<'a>,
}

/// How long a request may take that others wait behind.
const LONG_MICROSECONDS: u32 = 1000;

/// Names that are asked for at once.
const NAMES_AT_ONCE: usize = 32;

/// The longest rest of a request that is looked for.
const REST_MAX: usize = 32;

/// Names an `async fn` that does a deed.
macro_rules! deed {
    ($name:literal, $run:path) => {
        Deed { name: $name, run: |attack| Box::pin($run(attack)) }
    };
}

/// Every deed.
pub const DEEDS: &[Deed] = &[
    deed!("garbage-of-every-length", garbage),
    deed!("envelopes-with-wrong-fields", envelopes),
    deed!("bodies-cut-changed-and-extended", mutated_bodies),
    deed!("counts-of-what-does-not-follow", counts),
    deed!("a-flood", flood),
    deed!("requests-that-take-long", long_requests),
    deed!("another-sender-in-the-envelope", forged_sender),
    deed!("keys-that-are-guessed", guessed_keys),
    deed!("internal-mailboxes", internal_mailboxes),
    deed!("answers-that-nobody-asked-for", unasked_answers),
    deed!("false-reports-of-poison", false_poison),
    deed!("names-in-others-directories", others_directories),
    deed!("names-without-end", many_names),
    deed!("a-flood-of-names", flood_of_names),
    deed!("odd-names", odd_names),
];

/// The interfaces that bodies are made for: every one of the system, and that of the server under attack.
fn interfaces() -> impl Iterator<Item = Description> {
    interfaces::ALL.iter().copied().chain([Description::of::<TillInterface>()])
}

/// Where requests of an interface are sent: naming's to a member of it, all others to the server, which does not know them.
fn target(attack: &Attack, interface: &Description) -> Address {
    let naming = attack.random.one_of(&attack.naming).copied();
    if interface.id == NamesInterface::ID { naming.unwrap_or(attack.till) } else { attack.till }
}

/// Somebody under attack.
fn anybody(attack: &Attack) -> Address {
    let place = attack.random.below(attack.naming.len() + 1);
    attack.naming.get(place).copied().unwrap_or(attack.till)
}

/// Random bytes, from none to as many as a message has.
async fn garbage(attack: &Attack) -> Outcome {
    for round in 0..attack.rounds {
        let length = if round.is_multiple_of(2) {
            attack.random.below(96)
        } else {
            attack.random.below(MESSAGE_MAX + 1)
        };
        let message: Vec<u8> = (0..length).map(|_| attack.random.byte()).collect();
        attack.send(&anybody(attack), &message).await?;
    }
    Ok(())
}

/// A good request of which the envelope is cut, or has another byte somewhere.
async fn envelopes(attack: &Attack) -> Outcome {
    for _ in 0..attack.rounds {
        let envelope = attack.envelope(&TillInterface::OPERATIONS[0]);
        let mut message = attack.message(&envelope, &7u64.to_le_bytes());
        for _ in 0..1 + attack.random.below(3) {
            // The request's number and the address may be anything: the one who is answered is this process, or nobody.
            let at = 4 + attack.random.below(ENVELOPE_SIZE - 4);
            message[at] = attack.random.byte();
        }
        message.truncate(attack.random.below(2 * message.len()).max(1));
        attack.send(&anybody(attack), &message).await?;
    }
    Ok(())
}

/// Bodies that are nearly right, for every operation of every interface.
async fn mutated_bodies(attack: &Attack) -> Outcome {
    let operations: Vec<_> = interfaces()
        .flat_map(|interface| interface.operations.iter().map(move |operation| (interface, operation)))
        .filter(|(_, operation)| !operation.is_post)
        .collect();
    let Some((interface, operation)) = attack.random.one_of(&operations) else { return Ok(()) };
    let mut bodies = Bodies::new(*interface, Part::Request, operation.number);
    for _ in 0..attack.rounds {
        ask(attack, interface, operation.number, bodies.next(&attack.random)).await?;
    }
    Ok(())
}

/// Counts of up to 2^63 of whatever an operation takes, at every place where one may be.
async fn counts(attack: &Attack) -> Outcome {
    for interface in interfaces() {
        for operation in interface.operations.iter().filter(|operation| !operation.is_post) {
            let mut body = vec![0; attack.random.below(48)];
            body.extend(bodies::count(&attack.random));
            body.resize(BODY_MAX.min(body.len() + attack.random.below(BODY_MAX)), 1);
            body.truncate(BODY_MAX);
            ask(attack, &interface, operation.number, body).await?;
        }
    }
    Ok(())
}

async fn ask(attack: &Attack, interface: &Description, operation: u16, body: Vec<u8>) -> Outcome {
    let (to, known) = (target(attack, interface), &interface.operations[usize::from(operation)]);
    let said = attack.ask(&to, known, &body).await?;
    match fits(interface, operation, &body, &said) {
        true => Ok(()),
        false => Err(format!("{}.{} of {body:02x?} came to {said:?}", interface.name, known.name)),
    }
}

/// As many requests as there is room for, again and again, without waiting for an answer.
async fn flood(attack: &Attack) -> Outcome {
    let message = attack.message(&attack.envelope(&TillInterface::OPERATIONS[0]), &7u64.to_le_bytes());
    for _ in 0..attack.rounds.div_ceil(4) {
        let to = anybody(attack);
        // Far more than the share of one sender; what is refused is refused at once.
        for _ in 0..128 {
            if attack.runtime.port().send(&to, &message).is_err() {
                break;
            }
        }
        attack.runtime.sleep(Duration::from_micros(20)).await;
    }
    Ok(())
}

/// Many times as many requests under way as one client may have.
async fn long_requests(attack: &Attack) -> Outcome {
    for _ in 0..6 * attack.rounds {
        let envelope = attack.envelope(&TillInterface::OPERATIONS[3]);
        let message = attack.message(&envelope, &LONG_MICROSECONDS.to_le_bytes());
        attack.send(&attack.till, &message).await?;
    }
    Ok(())
}

/// Requests whose address for the answer says that an honest client sent them. They count for who sent them.
async fn forged_sender(attack: &Attack) -> Outcome {
    let own = attack.runtime.port().address(Class::Response);
    let (before, _) = own_count(attack).await?;
    for _ in 0..attack.rounds {
        let mut message = attack.envelope(&TillInterface::OPERATIONS[1]).to_bytes().to_vec();
        Envelope::add_reply(&mut message, &Address { identity: attack.honest, ..own });
        attack.send(&attack.till, &message).await?;
    }
    // Sent after the others, so it is done after them. Those that found the server overloaded were not counted.
    let (after, tries) = own_count(attack).await?;
    match (before + 1..=before + u64::from(attack.rounds) + tries).contains(&after) {
        true => Ok(()),
        false => Err(format!("{before} calls were counted for it, then {after}, by {} more", attack.rounds)),
    }
}

/// How many calls of its own were counted, and how many of them were made to hear it.
async fn own_count(attack: &Attack) -> Result<(u64, u64), String> {
    let till = TillClient::new(attack.caller(), attack.till);
    let deadline = attack.runtime.port().now().after(attack.patience);
    let mut tries = 1;
    loop {
        match till.count().await {
            Ok(count) => return Ok((count, tries)),
            Err(CallError::TimedOut) if attack.runtime.port().now() < deadline => tries += 1,
            Err(error) if error.nothing_was_done() => attack.runtime.sleep(Duration::from_micros(100)).await,
            Err(error) => return Err(format!("its own call failed: {error:?}")),
        }
    }
}

/// Keys that are like one that it was given: with another secret, another entry, for another mailbox.
async fn guessed_keys(attack: &Attack) -> Outcome {
    for _ in 0..attack.rounds {
        let mut guess = anybody(attack);
        match attack.random.below(4) {
            0 => guess.key.secret[attack.random.below(2)] ^= 1 << attack.random.below(64),
            1 => guess.key.secret = [attack.random.next(), attack.random.next()],
            2 => guess.key.entry = guess.key.entry.wrapping_add(1 + attack.random.below(70) as u32),
            _ => guess.key.mailbox.0 ^= 1 << attack.random.below(64),
        }
        refused(attack, &guess)?;
    }
    Ok(())
}

/// A key that opens nothing: neither for messages nor for watches.
fn refused(attack: &Attack, guess: &Address) -> Outcome {
    if attack.runtime.port().send(guess, &[1, 2, 3]).is_ok() {
        return Err(format!("a guessed key opens {:?}", guess.key.mailbox));
    }
    match attack.runtime.ended(guess) {
        Ok(_) => Err(format!("a guessed key lets {:?} be watched", guess.key.mailbox)),
        Err(_) => Ok(()),
    }
}

/// What lies beside the mailbox of which it has the key, and what is asked there, from outside.
async fn internal_mailboxes(attack: &Attack) -> Outcome {
    for target in attack.naming.iter().chain([&attack.till]) {
        for distance in 1..=8 {
            for mailbox in
                [target.key.mailbox.0.wrapping_sub(distance), target.key.mailbox.0.wrapping_add(distance)]
            {
                let mut beside = *target;
                beside.key.mailbox.0 = mailbox;
                refused(attack, &beside)?;
            }
        }
    }
    for target in &attack.naming {
        // The conversation of members, by the mailbox of clients.
        for interface in interfaces().filter(|interface| interface.name == "NamePeers") {
            for operation in interface.operations.iter().filter(|operation| !operation.is_post) {
                let body = Bodies::new(interface, Part::Request, operation.number).next(&attack.random);
                match attack.ask(target, operation, &body).await? {
                    Err(CallError::Unknown | CallError::Overloaded | CallError::NotNow) => {}
                    said => {
                        return Err(format!(
                            "{}.{} is served to strangers: {said:?}",
                            interface.name, operation.name
                        ));
                    }
                }
            }
        }
    }
    Ok(())
}

/// Answers to a server, which asked for none.
async fn unasked_answers(attack: &Attack) -> Outcome {
    for round in 0..attack.rounds {
        let mut envelope = attack.envelope(&TillInterface::OPERATIONS[0]);
        envelope.kind = Kind::Answer;
        envelope.request = round;
        envelope.status = *attack.random.one_of(&Status::ALL).unwrap_or(&Status::Done);
        let body = vec![attack.random.byte(); attack.random.below(64)];
        let message = attack.message(&envelope, &body);
        attack.send(&anybody(attack), &message).await?;
    }
    Ok(())
}

/// Requests that say of themselves that two members did not survive them. None is done, and what is like them is done for
/// everybody, its sender included.
async fn false_poison(attack: &Attack) -> Outcome {
    let (before, _) = own_count(attack).await?;
    for _ in 0..attack.rounds {
        let mut envelope = attack.envelope(&TillInterface::OPERATIONS[1]);
        envelope.status = Status::Poisonous;
        attack.send(&attack.till, &attack.message(&envelope, &[])).await?;
    }
    let (after, tries) = own_count(attack).await?;
    if after > before + tries {
        return Err(format!("{} requests of those that were marked were done", after - before - tries));
    }
    let said = attack.ask(&attack.till, &TillInterface::OPERATIONS[0], &9u64.to_le_bytes()).await?;
    match said {
        Ok(nine) if nine == 9u64.to_le_bytes() => Ok(()),
        Err(CallError::Overloaded) => Ok(()),
        said => Err(format!("a call like the one that was reported came to {said:?}")),
    }
}

/// Changes below somebody else's name, and in somebody else's name.
async fn others_directories(attack: &Attack) -> Outcome {
    let Ok(below) = attack.others.child("stolen") else { return Ok(()) };
    for _ in 0..attack.rounds.div_ceil(4) {
        let (names, guess) = (attack.names(), DirectoryKey([attack.random.next(), attack.random.next()]));
        let number = || RequestNumber(attack.next_number());
        let mine = attack.runtime.port().address(Class::External);
        let (mine, not_mine) = (entry(mine), entry(Address { identity: attack.honest, ..mine }));
        let (own, own_key) = (&attack.own.0, attack.own.1);
        is_refused("make", names.make(number(), below.clone(), guess, guess, None).await)?;
        is_refused("register", names.register(number(), attack.others.clone(), guess, mine).await)?;
        is_refused("remove", names.remove(number(), attack.others.clone(), guess).await)?;
        is_refused(
            "set_policy",
            names.set_policy(number(), attack.others.clone(), guess, Policy::Closest).await,
        )?;
        is_refused("unregister", names.unregister(number(), attack.others.clone()).await)?;
        is_refused("register another", names.register(number(), own.clone(), own_key, not_mine).await)?;
        let for_another = Address { identity: attack.honest, ..Address::default() };
        if let Ok(name) = own.child("for-another") {
            is_refused(
                "make for another",
                names.make(number(), name, own_key, own_key, Some(for_another)).await,
            )?;
        }
    }
    Ok(())
}

fn entry(address: Address) -> Entry {
    Entry { address, machine: 0, core: 0, metadata: vec![("k".to_string(), "v".to_string())] }
}

/// Naming refuses, or can't say now: it has not done it.
fn is_refused(what: &str, said: Result<u64, CallError<NameError>>) -> Outcome {
    match said {
        Ok(version) => Err(format!("{what} was done, as version {version}")),
        Err(_) => Ok(()),
    }
}

/// Names below its own, until there is no room for more. They go with this process.
async fn many_names(attack: &Attack) -> Outcome {
    let (own, key) = &attack.own;
    let owner = attack.runtime.port().address(Class::External);
    for _ in 0..attack.rounds {
        let Ok(name) = own.child(&format!("n{:x}", attack.random.next())) else { return Ok(()) };
        let names = attack.names();
        let made = names.make(RequestNumber(attack.next_number()), name, *key, *key, Some(owner)).await;
        if is_full(made)? {
            return Ok(());
        }
    }
    Ok(())
}

/// The same, many at once, at one member, without waiting for each.
async fn flood_of_names(attack: &Attack) -> Outcome {
    let (own, key) = &attack.own;
    let owner = attack.runtime.port().address(Class::External);
    for _ in 0..attack.rounds.div_ceil(8) {
        let Some(member) = attack.random.one_of(&attack.naming) else { return Ok(()) };
        let make = |to| {
            let (names, name) =
                (NamesClient::new(attack.caller(), to), format!("f{:x}", attack.random.next()));
            let number = RequestNumber(attack.next_number());
            async move {
                let name = own.child(&name).map_err(|_| CallError::NotFound)?;
                names.make(number, name, *key, *key, Some(owner)).await
            }
        };
        for (_, made) in broadcast(&[*member; NAMES_AT_ONCE], make).await {
            if is_full(made)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Whether there is no room for more names. `Err`: a name below its own is refused for another reason.
fn is_full(made: Result<u64, CallError<NameError>>) -> Result<bool, String> {
    match made {
        Err(CallError::Refused(NameError::Full)) => Ok(true),
        Err(CallError::Refused(other)) => Err(format!("a name below its own is refused: {other}")),
        Ok(_) | Err(_) => Ok(false),
    }
}

/// Of these odd names are made.
const PIECES: [&[u8]; 12] = [
    b"/",
    b"/",
    b"a",
    b"-",
    b".",
    b"..",
    b"A",
    b" ",
    b"\0",
    b"\xff",
    b"\xc3\xa4",
    b"a-component-that-is-longer-than-it-may-be",
];

/// Texts that are no names, or hardly: naming reads those that are, and no others.
async fn odd_names(attack: &Attack) -> Outcome {
    let interface = Description::of::<NamesInterface>();
    let list = interface.operations.iter().find(|operation| operation.name == "list");
    let Some(list) = list else { return Err("naming has no operation `list`".into()) };
    // After the name comes what is zero in as many bytes as the operation reads.
    let is_read = |body: &[u8]| (interface.reads)(Part::Request, list.number, body);
    let mut rests = (0..REST_MAX).map(|length| vec![0; length]);
    let rest = rests.find(|rest| is_read(&[&[1, b'/'], &rest[..]].concat()));
    let Some(rest) = rest else { return Err("`list` does not read the name `/`".into()) };
    for _ in 0..attack.rounds {
        let pieces = (0..attack.random.below(16)).filter_map(|_| attack.random.one_of(&PIECES));
        let text = pieces.copied().collect::<Vec<_>>().concat();
        // As postcard writes a text.
        let length = match text.len() {
            short @ ..0x80 => vec![short as u8],
            long => vec![long as u8 | 0x80, (long >> 7) as u8],
        };
        let body = [&length, &text[..], &rest].concat();
        let is_name = core::str::from_utf8(&text).is_ok_and(|text| Path::new(text).is_ok());
        if is_read(&body) != is_name {
            return Err(format!(
                "{text:02x?} is read as if it were {}a name",
                if is_name { "not " } else { "" }
            ));
        }
        ask(attack, &interface, list.number, body).await?;
    }
    Ok(())
}
