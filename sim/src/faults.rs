//! What is to go wrong in a run, and when: a plan, written by hand or drawn from the seed, printed with every run in the
//! words in which it can be given again.

use crate::Random;
use fos_runtime::port::Class;
use std::fmt::{self, Display, Formatter};

/// When a fault comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At this time, in nanoseconds.
    Time(u64),
    /// As soon as that many messages have been accepted in the whole run, in the middle of the step that sent the last.
    Message(u64),
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// A process ends.
    Kill {
        /// Its name.
        process: String,
    },
    /// A core does nothing more; its processes are ended when the others have given it up.
    Stop {
        /// Which.
        core: u32,
    },
    /// A core takes longer for everything.
    Slow {
        /// Which.
        core: u32,
        /// That many times as long.
        times: u64,
    },
    /// A mailbox has no room for a while.
    Fill {
        /// Whose, by name.
        process: String,
        /// Which of its mailboxes.
        class: Class,
        /// How long.
        nanoseconds: u64,
    },
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub mishap: Mishap,
    /// When.
    pub when: When,
}

/// Everything that is to go wrong in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan(pub Vec<Fault>);

/// What a scenario lets the seed break.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dangers {
    /// Processes that may end, or whose mailboxes may be full.
    pub processes: Vec<String>,
    /// Cores that may stop or be slow.
    pub cores: Vec<u32>,
    /// About how many messages the run has.
    pub messages: u64,
}

/// Faults that a seed plans at most.
const FAULTS_MAX: u64 = 3;

impl Plan {
    /// A plan from the seed: often none, never more than a few faults, early rather than late.
    pub fn draw(random: &mut Random, dangers: &Dangers) -> Plan {
        let count = random.below(FAULTS_MAX + 1);
        Plan((0..count).filter_map(|_| Fault::draw(random, dangers)).collect())
    }
}

impl Fault {
    fn draw(random: &mut Random, dangers: &Dangers) -> Option<Fault> {
        let when = When::Message(random.below(dangers.messages));
        let mishap = match random.below(4) {
            0 => Mishap::Stop { core: *random.choose(&dangers.cores)? },
            1 => Mishap::Slow { core: *random.choose(&dangers.cores)?, times: 2 + random.below(30) },
            2 => {
                let process = random.choose(&dangers.processes)?.clone();
                let nanoseconds = 1000 + random.below(2_000_000);
                Mishap::Fill { process, class: Class::External, nanoseconds }
            }
            _ => Mishap::Kill { process: random.choose(&dangers.processes)?.clone() },
        };
        Some(Fault { mishap, when })
    }

    /// From the words in which it prints itself.
    pub fn parse(text: &str) -> Result<Fault, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        parse(&words).ok_or_else(|| {
            format!(
                "{text:?} is no fault; faults are: kill PROCESS, stop core N, slow core N by TIMES, \
                 fill PROCESS response|internal|external for TIME; each followed by: at message N, at TIME (as 5us)"
            )
        })
    }
}

fn parse(words: &[&str]) -> Option<Fault> {
    let (mishap, rest) = match words {
        ["kill", process, rest @ ..] => (Mishap::Kill { process: (*process).to_owned() }, rest),
        ["stop", "core", core, rest @ ..] => (Mishap::Stop { core: core.parse().ok()? }, rest),
        ["slow", "core", core, "by", times, rest @ ..] => {
            let times = times.parse().ok().filter(|times| *times > 0)?;
            (Mishap::Slow { core: core.parse().ok()?, times }, rest)
        }
        ["fill", process, class, "for", time, rest @ ..] => {
            let (process, class) = ((*process).to_owned(), class_of(class)?);
            (Mishap::Fill { process, class, nanoseconds: nanoseconds(time)? }, rest)
        }
        _ => return None,
    };
    let when = match rest {
        ["at", "message", number] => When::Message(number.parse().ok()?),
        ["at", time] => When::Time(nanoseconds(time)?),
        _ => return None,
    };
    Some(Fault { mishap, when })
}

const CLASSES: [(&str, Class); 3] =
    [("response", Class::Response), ("internal", Class::Internal), ("external", Class::External)];

fn class_of(word: &str) -> Option<Class> {
    CLASSES.iter().find(|(name, _)| *name == word).map(|(_, class)| *class)
}

fn nanoseconds(word: &str) -> Option<u64> {
    let digits = word.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = word.split_at(digits);
    let factor = match unit {
        "ns" => 1,
        "us" => 1000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

impl Display for Fault {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match &self.mishap {
            Mishap::Kill { process } => write!(formatter, "kill {process}")?,
            Mishap::Stop { core } => write!(formatter, "stop core {core}")?,
            Mishap::Slow { core, times } => write!(formatter, "slow core {core} by {times}")?,
            Mishap::Fill { process, class, nanoseconds } => {
                let name = CLASSES[*class as usize].0;
                write!(formatter, "fill {process} {name} for {nanoseconds}ns")?;
            }
        }
        match self.when {
            When::Time(at) => write!(formatter, " at {at}ns"),
            When::Message(number) => write!(formatter, " at message {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_reads_as_it_prints() {
        for text in [
            "kill server-1 at message 7",
            "stop core 3 at 2000ns",
            "slow core 3 by 10 at message 0",
            "fill server-0 external for 1000000ns at 5ns",
        ] {
            assert_eq!(Fault::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Fault::parse("stop core 3 at 2us").unwrap().when, When::Time(2000));
        let dangers = Dangers { processes: vec!["p".to_owned()], cores: vec![1, 2], messages: 100 };
        for seed in 0..200 {
            for fault in Plan::draw(&mut Random::new(seed), &dangers).0 {
                assert_eq!(Fault::parse(&fault.to_string()), Ok(fault));
            }
        }
    }

    #[test]
    fn what_is_no_fault_is_answered_with_what_is() {
        for text in
            ["", "kill", "kill x", "slow core 1 by 0 at 1ns", "stop core x at 1ns", "kill x at 5parsecs"]
        {
            assert!(Fault::parse(text).unwrap_err().contains("fill PROCESS"), "{text}");
        }
    }
}
