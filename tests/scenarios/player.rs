//! A student: reads a step, presses its button, types its commands, and waits.

use kubetab::session::scenario::{LessonStep, Scenario};
use kubetab::session::{Action, Expectation, File};
use kubetab::view::host::Host;
use kubetab::view::protocol::{Command, Report, Start};
use kubetab::view::terminal::TerminalInput;

/// How long a student waits for what a step leads to, in seconds.
const PATIENCE_SECONDS: f64 = 60.0;
/// How much real time passes between two ticks, in seconds.
const TICK_SECONDS: f64 = 0.05;

pub(super) struct Player {
    host: Host,
    pub(super) steps: Vec<LessonStep>,
    /// What stands in the editor.
    files: Vec<File>,
    screen: String,
    is_busy: bool,
    reached: Option<usize>,
    answers: Vec<Result<(), String>>,
}

impl Player {
    pub(super) fn open(id: &str) -> Self {
        let scenario = Scenario::named(id).expect("it is listed");
        let mut host = Host::new();
        host.command(Command::Open { start: Start::Scenario(id.to_owned()), play: true });
        let mut player = Self {
            host,
            steps: scenario.steps,
            files: Vec::new(),
            screen: String::new(),
            is_busy: false,
            reached: None,
            answers: Vec::new(),
        };
        player.hear();
        player
    }

    fn hear(&mut self) {
        for report in self.host.take_reports() {
            match report {
                Report::Opened { files, lesson, .. } => {
                    assert!(lesson.is_some_and(|lesson| lesson.steps.len() == self.steps.len()));
                    self.files = files;
                }
                Report::NotOpened(why) => panic!("{why}"),
                Report::Frame(frame) => self.host.command(Command::Drawn(frame.number)),
                Report::Reached(step) => self.reached = Some(step),
                Report::Done { outcome, .. } => self.answers.push(match outcome {
                    Ok(answer) if answer.is_success() => Ok(()),
                    Ok(answer) => Err(format!("{answer:?}")),
                    Err(why) => Err(why),
                }),
                Report::Terminal(output) => {
                    self.screen.extend(output.pieces.into_iter().map(|piece| piece.text));
                    self.is_busy = output.busy;
                }
                _ => {}
            }
        }
    }

    fn tick(&mut self) {
        self.host.tick(TICK_SECONDS, &mut || true);
        self.hear();
    }

    fn tick_until(&mut self, is_over: impl Fn(&Self) -> bool) -> bool {
        let mut seconds = 0.0;
        while !is_over(self) && seconds < PATIENCE_SECONDS {
            self.tick();
            seconds += TICK_SECONDS;
        }
        is_over(self)
    }

    /// Reads a step.
    pub(super) fn attend(&mut self, number: usize) {
        self.host.command(Command::Attend(number));
    }

    /// Whether what the step leads to is there.
    pub(super) fn is_met(&self, step: &LessonStep) -> bool {
        let etcd = self.host.session().cluster().api().etcd();
        step.expect.iter().all(|expectation| expectation.is_met(etcd))
    }

    /// Presses the step's button, as `page/lesson.rs` does.
    pub(super) fn press(&mut self, number: usize, step: &LessonStep) -> Result<(), String> {
        for file in &step.files {
            self.files.retain(|known| known.name != file.name);
            self.files.push(file.clone());
        }
        if !step.apply.is_empty() {
            let files = self.files.iter().filter(|file| step.apply.contains(&file.name)).cloned().collect();
            let action = Action::Apply { files, namespace: "default".to_owned(), dry_run: false };
            self.host.command(Command::Act { id: 1, action });
        }
        self.host.command(Command::Perform { id: 2, step: number });
        self.hear();
        let answers = std::mem::take(&mut self.answers);
        let done: Result<(), String> = answers.into_iter().collect();
        done.and_then(|()| self.look_at(step)).map_err(|why| format!("step {}: {why}", number + 1))
    }

    /// Whether what the step shows in the inspector is there when its button is pressed.
    fn look_at(&self, step: &LessonStep) -> Result<(), String> {
        let Some(pointed) = &step.select else { return Ok(()) };
        let shown = Expectation {
            kind: pointed.kind.clone(),
            namespace: pointed.namespace.clone(),
            name: pointed.name.clone(),
            ..Expectation::default()
        };
        let is_there = shown.is_met(self.host.session().cluster().api().etcd());
        if is_there { Ok(()) } else { Err(format!("{pointed:?} is not there to be shown")) }
    }

    /// Waits for what the step leads to.
    pub(super) fn await_reached(&mut self, number: usize, step: &LessonStep) -> Result<(), String> {
        if step.expect.is_empty() || self.tick_until(|player| player.reached == Some(number)) {
            return Ok(());
        }
        let etcd = self.host.session().cluster().api().etcd();
        let missing: Vec<_> = step.expect.iter().filter(|expectation| !expectation.is_met(etcd)).cloned().collect();
        let mut text = format!("step {}: {missing:?} did not come; there is\n", number + 1);
        for kind in missing.iter().filter_map(|expectation| expectation.known_kind()) {
            text.push_str(&self.type_line(&format!("kubectl get {} -A -o wide", kind.resource())));
        }
        Err(text + &self.type_line("kubectl get pods -A -o wide; kubectl get events | tail -20"))
    }

    /// Types a command, and returns what it writes until it is done.
    pub(super) fn type_line(&mut self, line: &str) -> String {
        self.screen.clear();
        self.is_busy = true;
        let (text, files) = (line.to_owned(), self.files.clone());
        self.host.command(Command::Terminal(TerminalInput::Line { text, files }));
        self.hear();
        let is_done = self.tick_until(|player| !player.is_busy && player.screen.ends_with("$ "));
        if !is_done {
            self.host.command(Command::Terminal(TerminalInput::Interrupt));
            self.tick();
            return format!("{}\n(it does not come to an end)", self.screen);
        }
        self.screen.trim_end_matches("$ ").to_owned()
    }

    /// How long the cluster has lived, in seconds.
    pub(super) fn clock(&self) -> String {
        let session = self.host.session();
        format!("{:.1} s", session.now().since(session.config().profile.start).as_secs_f64())
    }

    pub(super) fn hash(&self) -> u64 {
        self.host.session().hash()
    }
}
