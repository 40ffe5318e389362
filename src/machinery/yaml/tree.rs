//! From the parser's events to a tree of nodes with their places; aliases still unresolved.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle, Tag};

use super::error::{marked, parser_place, scanner_place};
use super::stream::advance;
use super::{Error, MAX_DEPTH, Position, Span};

/// A node's place in its tree.
pub(super) type NodeId = usize;

/// One document's nodes; an empty document has none.
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    pub(super) root: Option<NodeId>,
    pub(super) start: Position,
}

pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) span: Span,
}

pub(super) enum Kind {
    Scalar {
        text: String,
        plain: bool,
        tag: Option<String>,
    },
    Sequence(Vec<NodeId>),
    /// Keys and values by turns.
    Mapping(Vec<NodeId>),
    Alias {
        target: NodeId,
        name: String,
    },
}

/// Parses the first document of `text`, which begins at `start` of the whole text. What follows it is not looked at.
pub(super) fn parse(text: &str, start: Position) -> Result<Tree, Error> {
    let mut options = granit_parser::options! {
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
        emit_unresolved_aliases: true,
    };
    options.set_emit_comments(false);
    let tree = Tree { nodes: Vec::new(), root: None, start };
    let mut builder = Builder { text, tree, open: Vec::new(), anchors: BTreeMap::new() };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| Error::scan(start, &error))?;
        let span = Span { start: marked(start, &span.start), end: marked(start, &span.end) };
        if !builder.event(event, span)? {
            break;
        }
    }
    Ok(builder.tree)
}

struct Builder<'a> {
    text: &'a str,
    tree: Tree,
    /// The collections that have begun and not ended.
    open: Vec<(NodeId, StructureStyle)>,
    anchors: BTreeMap<usize, NodeId>,
}

impl Builder<'_> {
    /// Takes one event; false once the document has ended.
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<bool, Error> {
        match event {
            Event::DocumentEnd | Event::StreamEnd => return Ok(false),
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let span = if is_block { self.without_blank_end(span) } else { span };
                self.check_dialect(style, span)?;
                let kind = Kind::Scalar { text: text.into_owned(), plain, tag: tag.as_deref().map(full_tag) };
                self.add(kind, span, anchor);
            }
            Event::SequenceStart(style, anchor, _) => self.begin(Kind::Sequence(Vec::new()), span, anchor, style)?,
            Event::MappingStart(style, anchor, _) => self.begin(Kind::Mapping(Vec::new()), span, anchor, style)?,
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(anchor) => {
                let name = self.alias_name(span);
                let Some(&target) = self.anchors.get(&anchor) else {
                    return Err(unknown_anchor(&name, span));
                };
                self.add(Kind::Alias { target, name }, span, 0);
            }
            Event::UnresolvedAlias(name) => return Err(unknown_anchor(&name, span)),
            _ => {}
        }
        Ok(true)
    }

    fn add(&mut self, kind: Kind, span: Span, anchor: usize) -> NodeId {
        let id = self.tree.nodes.len();
        self.tree.nodes.push(Node { kind, span });
        // The parser counts anchors from 1 and gives 0 to nodes without one.
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        match self.open.last() {
            Some(&(parent, _)) => match &mut self.tree.nodes[parent].kind {
                Kind::Sequence(children) | Kind::Mapping(children) => children.push(id),
                Kind::Scalar { .. } | Kind::Alias { .. } => unreachable!("only collections are open"),
            },
            None => self.tree.root = Some(id),
        }
        id
    }

    fn begin(&mut self, kind: Kind, span: Span, anchor: usize, style: StructureStyle) -> Result<(), Error> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Error::yaml(span.start, &format!("exceeded max depth of {MAX_DEPTH}")));
        }
        let is_dashed = style == StructureStyle::Block && matches!(kind, Kind::Sequence(_));
        let span = if is_dashed { self.at_dash(span) } else { span };
        let id = self.add(kind, span, anchor);
        self.open.push((id, style));
        Ok(())
    }

    /// What go-yaml v2 refuses and libyaml, which it was made from, takes by now: a question mark within a plain
    /// scalar in brackets, which begins a key there, and an escaped slash.
    fn check_dialect(&self, style: ScalarStyle, span: Span) -> Result<(), Error> {
        let base = self.tree.start.offset;
        let source = self.text.get(span.start.offset - base..span.end.offset - base).unwrap_or("");
        let flow = self.open.iter().rev().find(|(_, style)| *style == StructureStyle::Flow);
        if let (ScalarStyle::Plain, Some((outer, _)), Some(at)) = (style, flow, source.find('?').filter(|&at| at > 0)) {
            let outer_start = self.tree.nodes[*outer].span.start.offset - base;
            let end = if self.text[outer_start..].starts_with('{') { '}' } else { ']' };
            let position = advance(span.start, &source[..at]);
            let place = parser_place(position.line - self.tree.start.line);
            return Err(Error::yaml(position, &format!("{place}did not find expected ',' or '{end}'")));
        }
        if style == ScalarStyle::DoubleQuoted
            && let Some(at) = escaped_slash(source)
        {
            let position = advance(span.start, &source[..at]);
            let place = scanner_place(position.line - self.tree.start.line);
            return Err(Error::yaml(position, &format!("{place}found unknown escape character")));
        }
        Ok(())
    }

    /// A sequence that is not indented is said to begin behind its first dash.
    fn at_dash(&self, span: Span) -> Span {
        let offset = span.start.offset - self.tree.start.offset;
        let before = self.text[..offset].trim_end_matches(' ');
        if self.text[offset..].starts_with('-') || !before.ends_with('-') {
            return span;
        }
        let back = offset + 1 - before.len();
        let start =
            Position { line: span.start.line, column: span.start.column - back, offset: span.start.offset - back };
        Span { start, end: span.end }
    }

    /// A block scalar is said to reach to the next token; its text ends with the last line that is not blank.
    fn without_blank_end(&self, span: Span) -> Span {
        let base = self.tree.start.offset;
        let text = self.text.get(span.start.offset - base..span.end.offset - base).unwrap_or("");
        Span { start: span.start, end: advance(span.start, text.trim_end()) }
    }

    /// A collection in brackets ends with them; one in block style ends with its last item, not before the next token.
    fn end(&mut self, span: Span) {
        let Some((id, style)) = self.open.pop() else { return };
        let last = match &self.tree.nodes[id].kind {
            Kind::Sequence(children) | Kind::Mapping(children) => children.last().copied(),
            Kind::Scalar { .. } | Kind::Alias { .. } => None,
        };
        let end = match last {
            Some(last) if style == StructureStyle::Block => self.tree.nodes[last].span.end,
            _ => span.end,
        };
        self.tree.nodes[id].span.end = end;
    }

    /// The alias's name as it stands in the text, without the asterisk.
    fn alias_name(&self, span: Span) -> String {
        let base = self.tree.start.offset;
        let token = self.text.get(span.start.offset - base..span.end.offset - base).unwrap_or("");
        token.trim_start_matches('*').to_owned()
    }
}

fn unknown_anchor(name: &str, span: Span) -> Error {
    Error::yaml(span.start, &format!("unknown anchor '{name}' referenced"))
}

/// Where a quoted text escapes a slash.
fn escaped_slash(source: &str) -> Option<usize> {
    let mut bytes = source.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        if byte == b'\\' && bytes.next().is_some_and(|(_, escaped)| escaped == b'/') {
            return Some(at);
        }
    }
    None
}

fn full_tag(tag: &Tag) -> String {
    format!("{}{}", tag.handle(), tag.suffix())
}
