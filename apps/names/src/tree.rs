//! Names as a tree of lines: under each its registrations, then the names below it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use fos_messages::names::{Change, Description, Entry, LoadFigure, Path, Policy};

/// The lines of the names from the first one down; empty for none.
pub fn draw(names: &[(Path, Description)]) -> Vec<String> {
    let Some((top, description)) = names.first() else { return Vec::new() };
    let mut lines = Vec::from([format!("{}  {}", top.as_str(), about(description))]);
    draw_below(names, "", &mut lines);
    lines
}

/// Draws what is under the first of these names; all others are below it.
fn draw_below(names: &[(Path, Description)], indent: &str, lines: &mut Vec<String>) {
    let Some(((top, description), below)) = names.split_first() else { return };
    let children: Vec<&[(Path, Description)]> = (0..below.len())
        .filter(|place| below[*place].0.parent().as_ref() == Some(top))
        .map(|place| &below[place..])
        .collect();
    let mut left = description.members.len() + children.len();
    let mut branch = |lines: &mut Vec<String>, text: String| {
        left -= 1;
        let (corner, bar) = if left == 0 { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        lines.push(format!("{indent}{corner}{text}"));
        format!("{indent}{bar}")
    };
    for (entry, load) in &description.members {
        branch(lines, member(entry, *load));
    }
    for child in children {
        let (path, description) = &child[0];
        let name = path.step_below(top).unwrap_or_default();
        let indent = branch(lines, format!("{name}  {}", about(description)));
        let end = child.iter().skip(1).position(|(other, _)| other.step_below(path).is_none());
        draw_below(&child[..end.map_or(child.len(), |end| end + 1)], &indent, lines);
    }
}

fn about(description: &Description) -> String {
    let Description { policy, version, owner, .. } = description;
    let owner = owner.map_or(String::new(), |owner| format!(", goes with process {owner}"));
    format!("{}, version {version}{owner}", rule(policy))
}

/// A policy in words.
pub fn rule(policy: &Policy) -> &'static str {
    match policy {
        Policy::LeastWait => "least wait",
        Policy::RoundRobin => "round robin",
        Policy::Closest => "closest",
        Policy::ShortestQueue => "shortest queue",
        Policy::Sticky => "sticky",
        Policy::Ask(_) => "ask",
    }
}

/// A change as a line: `+` for what is there now, `-` for what is not.
pub fn change(change: &Change) -> String {
    let Change { path, member, is_there } = change;
    let sign = if *is_there { '+' } else { '-' };
    let member = member.map_or(String::new(), |member| format!("  process {member}"));
    format!("{sign} {}{member}", path.as_str())
}

fn member(entry: &Entry, load: LoadFigure) -> String {
    let Entry { address, machine, core, metadata } = entry;
    let place = if *machine == 0 { format!("core {core}") } else { format!("machine {machine} core {core}") };
    let load = match load {
        LoadFigure { requests: 0, service_nanoseconds: 0 } => "no load told".to_string(),
        LoadFigure { requests, service_nanoseconds } => {
            format!("{requests} under way, {service_nanoseconds} ns each")
        }
    };
    let says: String =
        metadata.iter().map(|(key, value)| format!(", {key}={}", value.escape_debug())).collect();
    format!("process {} on {place}: {load}{says}", address.identity.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fos_abi::Identity;
    use fos_messages::rpc::Address;

    fn name(path: &str, version: u64, members: &[u64]) -> (Path, Description) {
        let entry = |process: &u64| {
            let address = Address { identity: Identity(*process), ..Address::default() };
            let load = LoadFigure { requests: *process as u32 % 3, service_nanoseconds: 900 };
            (Entry { address, machine: 0, core: 2, metadata: Vec::new() }, load)
        };
        let (policy, members) = (Policy::RoundRobin, members.iter().map(entry).collect());
        (Path::new(path).unwrap(), Description { policy, version, owner: None, members })
    }

    #[test]
    fn a_tree_shows_who_is_below_whom() {
        let names = [
            name("/", 1, &[]),
            name("/a", 2, &[7, 8]),
            name("/a/b", 3, &[]),
            name("/a/b/c", 4, &[9]),
            name("/z", 5, &[]),
        ];
        let expected = [
            "/  round robin, version 1",
            "├─ a  round robin, version 2",
            "│  ├─ process 7 on core 2: 1 under way, 900 ns each",
            "│  ├─ process 8 on core 2: 2 under way, 900 ns each",
            "│  └─ b  round robin, version 3",
            "│     └─ c  round robin, version 4",
            "│        └─ process 9 on core 2: 0 under way, 900 ns each",
            "└─ z  round robin, version 5",
        ];
        assert_eq!(draw(&names), expected);
        assert_eq!(draw(&names[1..4])[0], "/a  round robin, version 2");
        assert_eq!(draw(&[]), [""; 0]);
    }

    #[test]
    fn a_change_is_a_line() {
        let gone = Change { path: Path::new("/a/b").unwrap(), member: Some(7), is_there: false };
        assert_eq!(change(&gone), "- /a/b  process 7");
        assert_eq!(change(&Change { member: None, is_there: true, ..gone }), "+ /a/b");
    }

    #[test]
    fn what_a_member_says_of_itself_can_not_break_a_line() {
        let (path, mut description) = name("/a", 1, &[3]);
        description.members[0].0.metadata = Vec::from([("key".to_string(), "one\ntwo\u{1b}[0m".to_string())]);
        let lines = draw(&[(path, description)]);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].ends_with(r", key=one\ntwo\u{1b}[0m"), "{}", lines[1]);
    }
}
