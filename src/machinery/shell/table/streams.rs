//! What processes read and write through: the input and output of root processes, pipes, what `$(…)` gathers, and open
//! files.

use std::collections::BTreeSet;

use super::super::io::{Descriptor, Input, OpenFile, PIPE_BYTES_MAX, Stream};
use super::{CAPTURE_BYTES_MAX, OUTPUT_BYTES_MAX, Output, Pid, Pipe, ProcessTable};
use crate::machinery::time::Time;

impl ProcessTable {
    pub(in super::super) fn root_output(&mut self, root: Pid, stream: Stream, bytes: &[u8], time: Time) {
        let Some(root) = self.roots.get_mut(&root) else {
            return;
        };
        if bytes.is_empty() || root.output_bytes > OUTPUT_BYTES_MAX {
            return;
        }
        root.output_bytes += bytes.len();
        match root.output.last_mut() {
            Some(last) if last.stream == stream && last.time == time => last.bytes.extend_from_slice(bytes),
            _ => root.output.push(Output { time, stream, bytes: bytes.to_vec() }),
        }
    }

    pub(in super::super) fn has_terminal(&self, root: Pid) -> bool {
        self.roots.get(&root).is_some_and(|root| root.terminal)
    }

    pub(in super::super) fn root_input(&mut self, root: Pid, most: usize) -> Input {
        match self.roots.get_mut(&root) {
            Some(root) if !root.input.is_empty() => {
                let end = most.min(root.input.len());
                Input::Data(root.input.drain(..end).collect())
            }
            Some(root) if root.input_open => Input::Pending,
            _ => Input::End,
        }
    }

    pub(in super::super) fn root_unread(&mut self, root: Pid, bytes: &[u8]) {
        if let Some(root) = self.roots.get_mut(&root) {
            root.input.splice(0..0, bytes.iter().copied());
        }
    }

    pub(super) fn handle(&mut self) -> u32 {
        self.next_handle += 1;
        self.next_handle
    }

    /// A new pipe, with these bytes in it.
    pub(in super::super) fn new_pipe(&mut self, bytes: Vec<u8>) -> u32 {
        let handle = self.handle();
        self.pipes.insert(handle, Pipe { bytes, start: 0 });
        handle
    }

    pub(in super::super) fn pipe_length(&self, pipe: u32) -> usize {
        self.pipes.get(&pipe).map_or(0, |pipe| pipe.bytes.len() - pipe.start)
    }

    /// The process that is being stepped is not asked: what it holds both ends of would never end.
    pub(super) fn pipe_has_writer(&self, pipe: u32) -> bool {
        self.tasks.values().any(|task| task.holds(&Descriptor::PipeWrite(pipe)))
    }

    pub(super) fn pipe_has_reader(&self, pipe: u32) -> bool {
        self.tasks.values().any(|task| task.holds(&Descriptor::PipeRead(pipe)))
    }

    /// Whether a pipe is full and somebody may yet read it.
    pub(in super::super) fn is_congested(&self, pipe: u32) -> bool {
        self.pipe_length(pipe) >= PIPE_BYTES_MAX && self.pipe_has_reader(pipe)
    }

    /// Writes into a pipe; whether somebody may read it.
    pub(in super::super) fn pipe_write(&mut self, pipe: u32, bytes: &[u8]) -> bool {
        let read = self.pipe_has_reader(pipe);
        if let Some(pipe) = self.pipes.get_mut(&pipe).filter(|_| read) {
            pipe.bytes.extend_from_slice(bytes);
        }
        read
    }

    pub(in super::super) fn pipe_read(&mut self, pipe: u32, most: usize) -> Input {
        if self.pipe_length(pipe) == 0 {
            return if self.pipe_has_writer(pipe) { Input::Pending } else { Input::End };
        }
        let Some(pipe) = self.pipes.get_mut(&pipe) else {
            return Input::End;
        };
        let end = (pipe.start + most).min(pipe.bytes.len());
        let data = pipe.bytes[pipe.start..end].to_vec();
        pipe.start = end;
        if pipe.start == pipe.bytes.len() {
            pipe.bytes.clear();
            pipe.start = 0;
        }
        Input::Data(data)
    }

    pub(in super::super) fn pipe_unread(&mut self, pipe: u32, bytes: &[u8]) {
        if let Some(pipe) = self.pipes.get_mut(&pipe) {
            let rest = pipe.bytes.split_off(pipe.start);
            pipe.bytes = [bytes, &rest].concat();
            pipe.start = 0;
        }
    }

    pub(in super::super) fn new_capture(&mut self) -> u32 {
        let handle = self.handle();
        self.captures.insert(handle, Vec::new());
        handle
    }

    pub(in super::super) fn capture(&mut self, capture: u32, bytes: &[u8]) {
        if let Some(held) = self.captures.get_mut(&capture) {
            let room = CAPTURE_BYTES_MAX.saturating_sub(held.len());
            held.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    pub(in super::super) fn take_capture(&mut self, capture: u32) -> Vec<u8> {
        self.captures.remove(&capture).unwrap_or_default()
    }

    pub(in super::super) fn new_open_file(&mut self, file: OpenFile) -> u32 {
        let handle = self.handle();
        self.opens.insert(handle, file);
        handle
    }

    pub(in super::super) fn open_file(&self, open: u32) -> Option<&OpenFile> {
        self.opens.get(&open)
    }

    pub(in super::super) fn open_file_mut(&mut self, open: u32) -> Option<&mut OpenFile> {
        self.opens.get_mut(&open)
    }

    pub(in super::super) fn files_generation(&self) -> u64 {
        self.files_generation
    }

    pub(super) fn collect_garbage(&mut self) {
        if self.pipes.is_empty() && self.opens.is_empty() {
            return;
        }
        let mut used = BTreeSet::new();
        for descriptor in self.tasks.values().flat_map(|task| task.descriptors()) {
            match descriptor {
                Descriptor::PipeRead(handle) | Descriptor::PipeWrite(handle) | Descriptor::File(handle) => {
                    used.insert(*handle);
                }
                _ => {}
            }
        }
        self.pipes.retain(|handle, _| used.contains(handle));
        self.opens.retain(|handle, _| used.contains(handle));
    }
}
