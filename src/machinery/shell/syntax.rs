//! The shell's syntax tree. Every part that a running script can stand in is behind an `Arc`, so that a process is
//! cheap to copy in the middle of its script.

use std::sync::Arc;

/// A script, or the body of a compound command: chains that run one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// The chains in order.
    pub items: Vec<Item>,
}

/// One chain of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What runs.
    pub chain: Arc<Chain>,
    /// Whether `&` follows.
    pub background: bool,
}

/// Pipelines joined by `&&` and `||`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Each pipeline with what joins it to the one before; the first one's is of no account.
    pub links: Vec<(Joint, Pipeline)>,
}

/// What stands between two pipelines of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    /// `&&`.
    And,
    /// `||`.
    Or,
}

/// Commands joined by `|`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// Whether `!` stands before it.
    pub negated: bool,
    /// The commands; one alone runs in the shell itself.
    pub commands: Vec<Arc<Command>>,
}

/// A command with its redirections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What it is.
    pub kind: CommandKind,
    /// `>file` and the like, in order.
    pub redirects: Vec<Redirect>,
    /// The line it stands on, from 1.
    pub line: u32,
}

/// The kinds of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandKind {
    /// `NAME=value word …`.
    Simple {
        /// Assignments before the words.
        assignments: Vec<Assignment>,
        /// The command and its arguments.
        words: Vec<Word>,
    },
    /// `{ …; }`.
    Group(Arc<List>),
    /// `( … )`.
    Subshell(Arc<List>),
    /// `if`, with its `elif`s as further branches.
    If {
        /// Condition and body of each branch.
        branches: Vec<(Arc<List>, Arc<List>)>,
        /// `else`.
        otherwise: Option<Arc<List>>,
    },
    /// `while`, or `until`.
    Loop {
        /// Whether it is `until`.
        until: bool,
        /// The condition.
        condition: Arc<List>,
        /// The body.
        body: Arc<List>,
    },
    /// `for name in words`.
    For {
        /// The variable.
        name: String,
        /// The words; without `in`, the positional parameters.
        words: Option<Vec<Word>>,
        /// The body.
        body: Arc<List>,
    },
    /// `for ((start; condition; step))`, as bash has it.
    Count {
        /// The three expressions.
        expressions: [Word; 3],
        /// The body.
        body: Arc<List>,
    },
    /// `case word in pattern) … esac`.
    Case {
        /// What is matched.
        word: Word,
        /// Each arm's patterns and body.
        arms: Vec<(Vec<Word>, Arc<List>)>,
    },
    /// `name() command`.
    Function {
        /// The name.
        name: String,
        /// What a call runs.
        body: Arc<Command>,
    },
    /// `[[ … ]]`: the words between, which are neither split nor globbed.
    Test(Vec<Word>),
    /// `(( … ))`.
    Arithmetic(Word),
}

/// `NAME=value`, or `NAME+=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The variable.
    pub name: String,
    /// Whether the value is added to what it holds.
    pub append: bool,
    /// The value.
    pub value: Word,
    /// The elements of `NAME=(value …)`, an array as bash has it.
    pub items: Option<Vec<Word>>,
}

/// A redirection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The descriptor, if one is given.
    pub descriptor: Option<u32>,
    /// What it does.
    pub kind: RedirectKind,
    /// The file, descriptor or text.
    pub target: Word,
}

/// The kinds of redirections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectKind {
    /// `<`.
    Input,
    /// `>` and `>|`.
    Output,
    /// `>>`.
    Append,
    /// `<>`.
    Both,
    /// `<&` and `>&`.
    Duplicate,
    /// `&>`: standard output and standard error.
    OutputAndError,
    /// `&>>`.
    AppendOutputAndError,
    /// `<<`, and `<<<` with a line end added by the parser.
    Text,
}

/// A word before expansion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// Its parts in order.
    pub parts: Vec<Part>,
}

impl Word {
    /// The text of a word that has nothing quoted and nothing to expand.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }
}

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Unquoted text, which may hold glob characters.
    Literal(String),
    /// Text from single quotes or after a backslash.
    Quoted(String),
    /// What stands between double quotes.
    Double(Vec<Part>),
    /// `$name` and `${…}`.
    Parameter(Box<Parameter>),
    /// `$(…)` and backticks.
    Substitution(Arc<List>),
    /// `<(…)`: a file with what the commands write.
    Process(Arc<List>),
    /// `$((…))`.
    Arithmetic(Box<Word>),
}

/// A parameter expansion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// A variable's name, a digit or one of `@*#?-$!`.
    pub name: String,
    /// What is done with its value.
    pub operation: Operation,
}

/// What a parameter expansion does with the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Nothing.
    Plain,
    /// `${#x}`.
    Length,
    /// `${!x}`.
    Indirect,
    /// `${x:-y}`; without the colon only when unset.
    Default {
        /// Whether an empty value counts as unset.
        empty_too: bool,
        /// The other value.
        word: Word,
    },
    /// `${x:=y}`.
    Assign {
        /// Whether an empty value counts as unset.
        empty_too: bool,
        /// The value to assign.
        word: Word,
    },
    /// `${x:?message}`.
    Require {
        /// Whether an empty value counts as unset.
        empty_too: bool,
        /// The message.
        word: Word,
    },
    /// `${x:+y}`.
    Alternative {
        /// Whether an empty value counts as unset.
        empty_too: bool,
        /// The value if set.
        word: Word,
    },
    /// `${x%y}` and `${x%%y}`.
    TrimEnd {
        /// Whether the longest match goes.
        longest: bool,
        /// The pattern.
        pattern: Word,
    },
    /// `${x#y}` and `${x##y}`.
    TrimStart {
        /// Whether the longest match goes.
        longest: bool,
        /// The pattern.
        pattern: Word,
    },
    /// `${x:offset:length}`.
    Slice {
        /// Where it begins; negative from the end.
        offset: Word,
        /// How much; to the end without it.
        length: Option<Word>,
    },
    /// `${x/pattern/with}` and `${x//pattern/with}`.
    Replace {
        /// Whether every match is replaced.
        all: bool,
        /// The pattern.
        pattern: Word,
        /// What comes in its place.
        with: Word,
    },
    /// `${x^^}`, `${x,,}`, `${x^}` and `${x,}`.
    Case {
        /// Whether to upper case.
        upper: bool,
        /// Whether every letter, or the first.
        all: bool,
    },
}
