//! From a tree of nodes to a JSON value with its places: go-yaml v2's decoder into `interface{}`, then
//! `convertToJSONableObject` of `sigs.k8s.io/yaml`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::machinery::quote::quote;

use super::number::{float_value, go_float32_key};
use super::scalar::{Scalar, resolve};
use super::span::Children;
use super::tree::{Kind, NodeId, Tree};
use super::{Document, Duplicate, Error, MAX_ALIAS_NODES, MAX_DEPTH, Segment, Span, Spans};

/// A value with the places in it.
type Placed = (Value, Spans);

/// The document of a tree.
pub(super) fn convert(tree: &Tree) -> Result<Document, Error> {
    let mut converter =
        Converter { tree, path: Vec::new(), active: Vec::new(), alias_nodes: 0, depth: 0, duplicates: Vec::new() };
    let (value, spans) = match tree.root {
        Some(root) => converter.node(root)?,
        None => (Value::Null, Spans::leaf(Span { start: tree.start, end: tree.start })),
    };
    Ok(Document { value, spans, duplicates: converter.duplicates, is_json: false })
}

struct Converter<'a> {
    tree: &'a Tree,
    path: Vec<Segment>,
    /// The targets of the aliases that are being followed, to find one that contains itself.
    active: Vec<NodeId>,
    alias_nodes: usize,
    depth: usize,
    duplicates: Vec<Duplicate>,
}

impl Converter<'_> {
    fn node(&mut self, id: NodeId) -> Result<Placed, Error> {
        let node = &self.tree.nodes[id];
        self.depth += 1;
        if self.depth > MAX_DEPTH + 1 {
            return Err(Error::yaml(node.span.start, &format!("exceeded max depth of {MAX_DEPTH}")));
        }
        if !self.active.is_empty() {
            self.alias_nodes += 1;
            if self.alias_nodes > MAX_ALIAS_NODES {
                return Err(Error::yaml(node.span.start, "document contains excessive aliasing"));
            }
        }
        let placed = match &node.kind {
            Kind::Scalar { text, plain, tag } => {
                let scalar =
                    resolve(text, *plain, tag.as_deref()).map_err(|text| Error::yaml(node.span.start, &text))?;
                (scalar_value(&scalar, node.span)?, Spans::leaf(node.span))
            }
            Kind::Sequence(items) => self.sequence(items, node.span)?,
            Kind::Mapping(children) => {
                let mut fields = BTreeMap::new();
                self.mapping(children, &mut fields)?;
                object(fields, node.span)
            }
            Kind::Alias { target, name } => {
                let (value, mut spans) = self.follow(*target, name, node.span, |this, target| this.node(target))?;
                spans.value = node.span;
                (value, spans)
            }
        };
        self.depth -= 1;
        Ok(placed)
    }

    /// Does something with the target of an alias, unless that is being done already.
    fn follow<T>(
        &mut self,
        target: NodeId,
        name: &str,
        span: Span,
        then: impl FnOnce(&mut Self, NodeId) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.active.contains(&target) {
            return Err(Error::yaml(span.start, &format!("anchor '{name}' value contains itself")));
        }
        self.active.push(target);
        let result = then(self, target)?;
        self.active.pop();
        Ok(result)
    }

    fn sequence(&mut self, items: &[NodeId], span: Span) -> Result<Placed, Error> {
        let mut values = Vec::with_capacity(items.len());
        let mut children = Vec::with_capacity(items.len());
        for (index, &item) in items.iter().enumerate() {
            self.path.push(Segment::Index(index));
            let (value, spans) = self.node(item)?;
            self.path.pop();
            values.push(value);
            children.push(spans);
        }
        Ok((Value::Array(values), Spans { key: None, value: span, children: Children::Items(children) }))
    }

    /// Puts a mapping's fields among `fields`, in order: what comes later wins, be it a key or a merged mapping.
    fn mapping(&mut self, children: &[NodeId], fields: &mut BTreeMap<String, Placed>) -> Result<(), Error> {
        let mut explicit: BTreeMap<String, Span> = BTreeMap::new();
        for pair in children.chunks_exact(2) {
            let (key_id, value_id) = (pair[0], pair[1]);
            if self.is_merge(key_id) {
                self.merge(value_id, fields)?;
                continue;
            }
            let key_span = self.tree.nodes[key_id].span;
            let key = self.key(key_id, value_id)?;
            self.path.push(Segment::Key(key.clone()));
            if let Some(first) = explicit.insert(key.clone(), key_span)
                && self.active.is_empty()
            {
                self.duplicates.push(Duplicate { path: self.path.clone(), first, last: key_span });
            }
            let (value, mut spans) = self.node(value_id)?;
            self.path.pop();
            spans.key = Some(key_span);
            fields.insert(key, (value, spans));
        }
        Ok(())
    }

    fn is_merge(&self, key: NodeId) -> bool {
        match &self.tree.nodes[key].kind {
            Kind::Scalar { text, plain, tag: None } => *plain && text == "<<",
            Kind::Scalar { text, tag: Some(tag), .. } => text == "<<" && tag == "tag:yaml.org,2002:merge",
            _ => false,
        }
    }

    /// `<<`: the fields of a mapping, or of several of which the earlier win.
    fn merge(&mut self, value: NodeId, fields: &mut BTreeMap<String, Placed>) -> Result<(), Error> {
        match &self.tree.nodes[value].kind {
            Kind::Sequence(items) => items.iter().rev().try_for_each(|&item| self.merge_one(item, fields)),
            _ => self.merge_one(value, fields),
        }
    }

    fn merge_one(&mut self, id: NodeId, fields: &mut BTreeMap<String, Placed>) -> Result<(), Error> {
        let node = &self.tree.nodes[id];
        match &node.kind {
            Kind::Mapping(children) => self.nested_mapping(children, fields),
            Kind::Alias { target, name } => match &self.tree.nodes[*target].kind {
                Kind::Mapping(children) => {
                    self.follow(*target, name, node.span, |this, _| this.nested_mapping(children, fields))
                }
                _ => Err(not_a_map(node.span)),
            },
            _ => Err(not_a_map(node.span)),
        }
    }

    /// A merged mapping may merge others: it counts as a level and as a node.
    fn nested_mapping(&mut self, children: &[NodeId], fields: &mut BTreeMap<String, Placed>) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH + 1 {
            return Err(Error::yaml(self.tree.start, &format!("exceeded max depth of {MAX_DEPTH}")));
        }
        self.mapping(children, fields)?;
        self.depth -= 1;
        Ok(())
    }

    /// A key as text. JSON has only such keys; numbers and booleans become text, null and collections are refused.
    fn key(&mut self, id: NodeId, value: NodeId) -> Result<String, Error> {
        let node = &self.tree.nodes[id];
        let fail = |message: String| Err(Error::yaml(node.span.start, &message));
        match &node.kind {
            Kind::Scalar { text, plain, tag } => {
                let scalar =
                    resolve(text, *plain, tag.as_deref()).map_err(|text| Error::yaml(node.span.start, &text))?;
                match scalar {
                    Scalar::Text(text) => Ok(text),
                    Scalar::Bool(value) => Ok(value.to_string()),
                    Scalar::Int(value) => Ok(value.to_string()),
                    Scalar::Float(value) => Ok(go_float32_key(value)),
                    Scalar::Null => {
                        let value = go_syntax(&self.node(value)?.0);
                        let message = format!("Unsupported map key of type: %!s(<nil>), key: <nil>, value: {value}");
                        Err(Error::new(node.span.start, message))
                    }
                    Scalar::Uint(key) => {
                        let value = go_syntax(&self.node(value)?.0);
                        let message = format!("Unsupported map key of type: uint64, key: {key:#x}, value: {value}");
                        Err(Error::new(node.span.start, message))
                    }
                }
            }
            Kind::Alias { target, name } => {
                self.follow(*target, name, node.span, |this, target| this.key(target, value))
            }
            Kind::Sequence(_) | Kind::Mapping(_) => {
                let key = self.node(id)?.0;
                fail(format!("invalid map key: {}", go_syntax(&key)))
            }
        }
    }
}

fn not_a_map(span: Span) -> Error {
    Error::yaml(span.start, "map merge requires map or sequence of maps as the value")
}

fn object(fields: BTreeMap<String, Placed>, span: Span) -> Placed {
    let mut map = Map::with_capacity(fields.len());
    let mut children = BTreeMap::new();
    for (key, (value, spans)) in fields {
        map.insert(key.clone(), value);
        children.insert(key, spans);
    }
    (Value::Object(map), Spans { key: None, value: span, children: Children::Fields(children) })
}

fn scalar_value(scalar: &Scalar, span: Span) -> Result<Value, Error> {
    Ok(match scalar {
        Scalar::Null => Value::Null,
        Scalar::Bool(value) => Value::Bool(*value),
        Scalar::Int(value) => Value::from(*value),
        // Beyond int64 Kubernetes knows floats only.
        #[expect(clippy::cast_precision_loss, reason = "upstream loses it too")]
        Scalar::Uint(value) => Value::from(*value as f64),
        Scalar::Float(value) => match float_value(*value) {
            Some(value) => value,
            None => {
                let name = if value.is_nan() {
                    "NaN"
                } else if *value > 0.0 {
                    "+Inf"
                } else {
                    "-Inf"
                };
                return Err(Error::new(span.start, format!("json: unsupported value: {name}")));
            }
        },
        Scalar::Text(text) => Value::String(text.clone()),
    })
}

/// A value in Go's syntax (`%#v`), as go-yaml shows a mapping that stands where a key must: the mark of a template
/// whose `{{ … }}` was left as it is.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quote(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> = fields.iter().map(|(k, v)| format!("{}:{}", quote(k), go_syntax(v))).collect();
            format!("map[interface {{}}]interface {{}}{{{}}}", fields.join(", "))
        }
    }
}
