//! Names as one JSON document, written by hand: its texts are few, and what others chose is escaped.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use fos_messages::names::{Description, Entry, LoadFigure, Path};

/// `{"schema":"fos.names/1","version":…,"names":[{"path","policy","version","owner","members":[{"process","machine","core",
/// "requests","service_nanoseconds","metadata":{…}}]}]}`. `version` is that of the map, `owner` null for a name that lasts.
pub fn write(names: &[(Path, Description)], version: u64) -> String {
    let names: Vec<String> = names.iter().map(|(path, description)| name(path, description)).collect();
    format!("{{\"schema\":\"fos.names/1\",\"version\":{version},\"names\":[{}]}}", names.join(","))
}

fn name(path: &Path, description: &Description) -> String {
    let Description { policy, version, owner, members } = description;
    let owner = owner.map_or(String::from("null"), |owner| format!("{owner}"));
    let members: Vec<String> = members.iter().map(|(entry, load)| member(entry, *load)).collect();
    let policy = super::tree::rule(policy);
    format!(
        "{{\"path\":{},\"policy\":\"{policy}\",\"version\":{version},\"owner\":{owner},\"members\":[{}]}}",
        text(path.as_str()),
        members.join(",")
    )
}

fn member(entry: &Entry, load: LoadFigure) -> String {
    let Entry { address, machine, core, metadata } = entry;
    let LoadFigure { requests, service_nanoseconds } = load;
    let says: Vec<String> =
        metadata.iter().map(|(key, value)| format!("{}:{}", text(key), text(value))).collect();
    format!(
        "{{\"process\":{},\"machine\":{machine},\"core\":{core},\"requests\":{requests},\
         \"service_nanoseconds\":{service_nanoseconds},\"metadata\":{{{}}}}}",
        address.identity.0,
        says.join(",")
    )
}

/// A text as JSON has it (RFC 8259, section 7).
fn text(text: &str) -> String {
    let mut written = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => written.extend(['\\', letter]),
            letter if letter < ' ' => written.push_str(&format!("\\u{:04x}", letter as u32)),
            letter => written.push(letter),
        }
    }
    written.push('"');
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use fos_messages::names::Policy;
    use fos_messages::rpc::Address;

    #[test]
    fn the_document_is_as_it_says() {
        let metadata = Vec::from([("key".to_string(), "a\"b\\c\nd".to_string())]);
        let entry = Entry { address: Address::default(), machine: 1, core: 2, metadata };
        let load = LoadFigure { requests: 3, service_nanoseconds: 4 };
        let description = Description {
            policy: Policy::Closest,
            version: 5,
            owner: Some(6),
            members: Vec::from([(entry, load)]),
        };
        let expected = r#"{"schema":"fos.names/1","version":7,"names":[{"path":"/a","policy":"closest","version":5,"owner":6,"members":[{"process":0,"machine":1,"core":2,"requests":3,"service_nanoseconds":4,"metadata":{"key":"a\"b\\c\u000ad"}}]}]}"#;
        assert_eq!(write(&[(Path::new("/a").unwrap(), description)], 7), expected);
        assert_eq!(write(&[], 0), r#"{"schema":"fos.names/1","version":0,"names":[]}"#);
    }
}
