//! What the host may ask about the running system.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use fos_abi::limits::PAGE_SIZE;
use fos_messages::control::{Row, Subject, Value};
use libfos::calls;

use crate::program::Program;
use crate::server::Server;

impl Server {
    /// The rows of an answer.
    pub fn answer(&self, subject: Subject) -> Vec<Row> {
        match subject {
            Subject::Cores => (0..u64::from(self.facts.cores)).map(core).collect(),
            Subject::Programs => self.programs.iter().map(program).collect(),
            Subject::Memory => vec![self.memory_row()],
        }
    }

    fn memory_row(&self) -> Row {
        let (frames, free) = self.count_frames();
        let custody = self.keeping.custodian.borrow().totals();
        let (frames, free) = (frames + custody.frames, free + custody.free);
        let bytes = |frames: u64| frames * PAGE_SIZE as u64;
        let fields = vec![
            number("total_bytes", bytes(frames)),
            number("free_bytes", bytes(free)),
            number("used_bytes", bytes(frames - free)),
            number("root_free_bytes", bytes(self.memory.frames.free_frames())),
        ];
        Row { name: "memory".to_string(), fields }
    }
}

fn number(name: &str, value: u64) -> (String, Value) {
    (name.to_string(), Value::Number(value))
}

fn core(index: u64) -> Row {
    let name = format!("core {index}");
    let fields = match calls::core_read(index) {
        Err(error) => vec![("state".to_string(), Value::Text(format!("{error:?}")))],
        Ok(info) => {
            let state = match info.state {
                0 => "never started",
                1 => "running",
                2 => "idle",
                _ => "failed",
            };
            vec![
                ("state".to_string(), Value::Text(state.to_string())),
                number("hardware_id", info.hardware_id),
                number("threads", info.threads),
                number("spaces", info.spaces),
                number("switches", info.switches),
                number("kicks", info.kicks),
                number("shootdowns", info.shootdowns),
                number("chunks", info.chunks),
            ]
        }
    };
    Row { name, fields }
}

fn program(program: &Program) -> Row {
    let frames = program.piece.as_ref().map_or(0, |piece| piece.frames());
    let mut fields = vec![
        number("number", program.number.0),
        number("core", u64::from(program.core)),
        number("memory_bytes", frames * PAGE_SIZE as u64),
    ];
    if let Ok(info) = calls::thread_info(program.thread) {
        fields.push(number("cycles", info.cycles));
        fields.push(number("switches", info.switches));
    }
    Row { name: program.name.clone(), fields }
}
