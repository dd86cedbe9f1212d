//! What everything costs, in nanoseconds, from a file in `sim/costs/`. Each number says where it came from, and a file
//! without that is refused: a figure is worth what its costs are. A file may build on another (`base`), whose numbers
//! stand wherever it says nothing.

use crate::topology::{Distance, Topology};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The files that are built in: name and text.
pub const FILES: [(&str, &str); 3] = [
    ("default", include_str!("../costs/default.toml")),
    ("8x4", include_str!("../costs/8x4.toml")),
    ("polling", include_str!("../costs/polling.toml")),
];

/// How deep files may build on each other.
const BASES_MAX: usize = 4;

/// One number and its origin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Number {
    /// Nanoseconds.
    pub ns: u64,
    /// Where it came from.
    pub from: String,
}

impl Number {
    /// A number from there.
    pub fn new(ns: u64, from: &str) -> Number {
        Number { ns, from: from.to_owned() }
    }
}

/// What the machine charges.
pub const MACHINE: [&str; 9] = [
    "trap",
    "copy_line",
    "ipi",
    "wake",
    "switch",
    "post_line",
    "line_occupancy",
    "network_round_trip",
    "zero_page",
];
/// What a runtime's steps cost beside handlers.
pub const STEPS: [&str; 5] = ["response", "answer", "task", "background", "garbage"];
/// What is chosen, not measured.
pub const CHOICES: [&str; 4] = ["poll", "bury_after", "channel_after_messages", "mailbox_slots"];

/// A cost file as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    about: String,
    base: Option<String>,
    sockets: Option<u32>,
    cores_per_socket: Option<u32>,
    hops: Option<Vec<Vec<u8>>>,
    #[serde(default)]
    transfer: Vec<Number>,
    #[serde(default)]
    machine: BTreeMap<String, Number>,
    #[serde(default)]
    choices: BTreeMap<String, u64>,
    #[serde(default)]
    steps: BTreeMap<String, Number>,
    #[serde(default)]
    handlers: BTreeMap<String, Number>,
}

impl File {
    fn parse(name: &str, text: &str) -> Result<File, String> {
        let file: File = toml::from_str(text).map_err(|error| format!("cost file {name}: {error}"))?;
        let numbers = [&file.machine, &file.steps, &file.handlers].into_iter().flatten();
        let numbers = numbers.map(|(key, number)| (key.as_str(), number));
        let transfers = file.transfer.iter().map(|number| ("transfer", number));
        if let Some((key, _)) = numbers.chain(transfers).find(|(_, number)| number.from.trim().is_empty()) {
            return Err(format!("cost file {name}: {key} does not say where it came from"));
        }
        let known = |keys: &[&str], key: &str| keys.contains(&key);
        let unknown = (file.machine.keys().find(|key| !known(&MACHINE, key)))
            .or_else(|| file.steps.keys().find(|key| !known(&STEPS, key)))
            .or_else(|| file.choices.keys().find(|key| !known(&CHOICES, key)));
        match unknown {
            Some(key) => Err(format!("cost file {name}: nothing has the cost {key}")),
            None => Ok(file),
        }
    }

    /// This over what it builds on.
    fn over(mut self, base: File) -> File {
        self.base = base.base;
        if self.sockets.is_none() {
            (self.sockets, self.cores_per_socket, self.hops) =
                (base.sockets, base.cores_per_socket, base.hops);
        }
        if self.transfer.is_empty() {
            self.transfer = base.transfer;
        }
        fn fill<T>(over: &mut BTreeMap<String, T>, under: BTreeMap<String, T>) {
            under.into_iter().for_each(|(key, value)| {
                over.entry(key).or_insert(value);
            });
        }
        fill(&mut self.machine, base.machine);
        fill(&mut self.choices, base.choices);
        fill(&mut self.steps, base.steps);
        fill(&mut self.handlers, base.handlers);
        self
    }
}

/// Costs of everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Costs {
    /// The file's name.
    pub name: String,
    /// Where cores are.
    pub topology: Topology,
    file: File,
    machine: [u64; MACHINE.len()],
    steps: [u64; STEPS.len()],
    choices: [u64; CHOICES.len()],
}

impl Costs {
    /// The costs of a file that is built in, by name, or of any other, by path.
    pub fn load(name: &str) -> Result<Costs, String> {
        Costs::parse(name, &text_of(name)?)
    }

    /// The costs of a text.
    pub fn parse(name: &str, text: &str) -> Result<Costs, String> {
        let mut file = File::parse(name, text)?;
        for _ in 0..BASES_MAX {
            let Some(base) = file.base.take() else { break };
            file = file.over(File::parse(&base, &text_of(&base)?)?);
        }
        if let Some(base) = &file.base {
            return Err(format!("cost file {name}: builds on {base}, more than {BASES_MAX} files deep"));
        }
        let (sockets, cores) = (file.sockets.unwrap_or(0), file.cores_per_socket.unwrap_or(0));
        let topology = Topology::new(sockets, cores, file.hops.clone().unwrap_or_default())
            .map_err(|why| format!("cost file {name}: {why}"))?;
        let distances = usize::from(topology.hops_max()) + 2;
        if file.transfer.len() != distances {
            let found = file.transfer.len();
            return Err(format!("cost file {name}: {found} transfers for {distances} distances"));
        }
        let ns = |number: &Number| number.ns;
        Ok(Costs {
            name: name.to_owned(),
            machine: all(name, MACHINE, &file.machine, ns)?,
            steps: all(name, STEPS, &file.steps, ns)?,
            choices: all(name, CHOICES, &file.choices, |value| *value)?,
            topology,
            file,
        })
    }

    /// What it says of itself.
    pub fn about(&self) -> &str {
        &self.file.about
    }

    /// One of [`MACHINE`].
    pub fn machine(&self, key: &str) -> u64 {
        of(MACHINE, &self.machine, key)
    }

    /// One of [`STEPS`].
    pub fn step(&self, key: &str) -> u64 {
        of(STEPS, &self.steps, key)
    }

    /// One of [`CHOICES`].
    pub fn choice(&self, key: &str) -> u64 {
        of(CHOICES, &self.choices, key)
    }

    /// A cache line from there to here. Over the network: the copy, since the wire's time is the message's.
    pub fn transfer(&self, distance: Distance) -> u64 {
        match distance {
            Distance::Hops(hops) => self.file.transfer[usize::from(hops)].ns,
            Distance::Network => self.machine("copy_line"),
        }
    }

    /// A handler by its name, `Interface.operation`.
    pub fn handler(&self, name: &str) -> Option<u64> {
        self.file.handlers.get(name).map(|number| number.ns)
    }

    /// The same with other numbers: by the names under which they stand in the file, as `machine.trap` or
    /// `handlers.Counter.mirror`; `transfer.1` is the second transfer.
    pub fn with(&self, numbers: &[(String, Number)]) -> Result<Costs, String> {
        let mut file = self.file.clone();
        for (key, number) in numbers {
            let (part, rest) = key.split_once('.').ok_or_else(|| format!("{key} is no number's name"))?;
            let table = match part {
                "machine" => &mut file.machine,
                "steps" => &mut file.steps,
                "handlers" => &mut file.handlers,
                "transfer" => {
                    let place = rest.parse().ok().and_then(|index: usize| file.transfer.get_mut(index));
                    *place.ok_or_else(|| format!("there is no {key}"))? = number.clone();
                    continue;
                }
                _ => return Err(format!("{key} is no number's name")),
            };
            table.insert(rest.to_owned(), number.clone());
        }
        Costs::parse(&self.name, &Costs { file, ..self.clone() }.render())
    }

    /// As a file.
    pub fn render(&self) -> String {
        let file = &self.file;
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let number = |number: &Number| format!("{{ ns = {}, from = {} }}", number.ns, quoted(&number.from));
        let mut text = format!("about = {}\n\n", quoted(&file.about));
        text += &format!("sockets = {}\n", file.sockets.unwrap_or(0));
        text += &format!("cores_per_socket = {}\n", file.cores_per_socket.unwrap_or(0));
        if let Some(hops) = &file.hops {
            let rows: Vec<String> = hops.iter().map(|row| format!("    {row:?},\n")).collect();
            text += &format!("# Hops from each socket to each.\nhops = [\n{}]\n", rows.concat());
        }
        let transfers: Vec<String> =
            file.transfer.iter().map(|entry| format!("    {},\n", number(entry))).collect();
        text += &format!(
            "# One cache line: within a core, a socket, one hop, ...\ntransfer = [\n{}]\n",
            transfers.concat()
        );
        text += "\n# Chosen, not measured: times in nanoseconds.\n[choices]\n";
        file.choices.iter().for_each(|(key, value)| text += &format!("{key} = {value}\n"));
        for (title, table) in
            [("machine", &file.machine), ("steps", &file.steps), ("handlers", &file.handlers)]
        {
            text += &format!("\n[{title}]\n");
            for (key, entry) in table {
                let key = if key.contains('.') { quoted(key) } else { key.clone() };
                text += &format!("{key} = {}\n", number(entry));
            }
        }
        text
    }
}

fn text_of(name: &str) -> Result<String, String> {
    match FILES.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => Ok((*text).to_owned()),
        None => std::fs::read_to_string(name).map_err(|error| {
            let known: Vec<&str> = FILES.iter().map(|(known, _)| *known).collect();
            format!("no cost file {name} ({error}); those built in are {}", known.join(", "))
        }),
    }
}

fn all<T, const N: usize>(
    name: &str,
    keys: [&str; N],
    table: &BTreeMap<String, T>,
    value: impl Fn(&T) -> u64,
) -> Result<[u64; N], String> {
    let mut found = [0; N];
    for (place, key) in found.iter_mut().zip(keys) {
        *place = value(table.get(key).ok_or_else(|| format!("cost file {name} lacks {key}"))?);
    }
    Ok(found)
}

fn of<const N: usize>(keys: [&str; N], values: &[u64; N], key: &str) -> u64 {
    let index = keys.iter().position(|known| *known == key);
    values[index.expect("costs are asked for by the names in the lists above")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_is_built_in_is_whole() {
        for (name, _) in FILES {
            let costs = Costs::load(name).unwrap();
            assert!(!costs.about().is_empty());
            assert!(costs.handler("Counter.mirror").is_some_and(|ns| ns > 0), "{name}");
        }
        assert_eq!(Costs::load("8x4").unwrap().topology.cores_per_machine(), 32);
    }

    #[test]
    fn a_written_file_is_read_back() {
        for (name, _) in FILES {
            let costs = Costs::load(name).unwrap();
            assert_eq!(Costs::parse(name, &costs.render()).unwrap(), costs);
        }
    }

    #[test]
    fn numbers_are_replaced_by_name() {
        let costs = Costs::load("8x4").unwrap();
        let changes = ["machine.trap", "handlers.Counter.mirror", "transfer.1"]
            .map(|key| (key.to_owned(), Number::new(12_345, "a test")));
        let changed = costs.with(&changes).unwrap();
        assert_eq!(changed.machine("trap"), 12_345);
        assert_eq!(changed.handler("Counter.mirror"), Some(12_345));
        assert_eq!(changed.transfer(Distance::Hops(1)), 12_345);
        assert!(costs.with(&[("transfer.9".to_owned(), Number::new(1, "a test"))]).is_err());
    }

    #[test]
    fn what_is_missing_or_has_no_origin_is_named() {
        let text = FILES[0].1;
        let without = |line: &str| {
            let kept: Vec<&str> = text.lines().filter(|found| !found.starts_with(line)).collect();
            Costs::parse("t", &kept.join("\n")).unwrap_err()
        };
        assert!(without("trap").contains("lacks trap"), "{}", without("trap"));
        assert!(without("task").contains("lacks task"));
        let unsaid = "about = \"\"\n[machine]\ntrap = { ns = 1, from = \"\" }\n";
        assert!(Costs::parse("t", unsaid).unwrap_err().contains("where it came from"));
        let unknown = "about = \"\"\n[machine]\ntrip = { ns = 1, from = \"x\" }\n";
        assert!(Costs::parse("t", unknown).unwrap_err().contains("trip"));
        assert!(Costs::load("nowhere").unwrap_err().contains("8x4"));
    }
}
