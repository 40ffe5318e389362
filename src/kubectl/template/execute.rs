//! Filling a template in.

use serde_json::Value;

use super::functions::{call, truth};
use super::{Node, Operand, Pipeline};
use crate::kubectl::printer::go_print;

/// A template that is being filled in.
pub(super) struct Run {
    variables: Vec<(String, Value)>,
    out: String,
}

impl Run {
    /// Fills nodes in with data.
    pub(super) fn of(nodes: &[Node], data: &Value) -> Result<String, String> {
        let mut run = Self { variables: vec![(String::new(), data.clone())], out: String::new() };
        run.nodes(nodes, data)?;
        Ok(run.out)
    }

    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<(), String> {
        for node in nodes {
            match node {
                Node::Text(text) => self.out.push_str(text),
                Node::Pipeline(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.variables.is_empty() {
                        let printed = value.as_ref().map_or("<no value>".to_owned(), go_print);
                        self.out.push_str(&printed);
                    } else {
                        self.set(&pipeline.variables, &[value.unwrap_or(Value::Null)]);
                    }
                }
                Node::If(pipeline, body, otherwise) => {
                    let value = self.pipeline(pipeline, dot)?;
                    self.scoped(if truth(value.as_ref()) { body } else { otherwise }, dot, &[], &[])?;
                }
                Node::With(pipeline, body, otherwise) => match self.pipeline(pipeline, dot)? {
                    Some(value) if truth(Some(&value)) => {
                        self.scoped(body, &value, &pipeline.variables, std::slice::from_ref(&value))?;
                    }
                    _ => self.scoped(otherwise, dot, &[], &[])?,
                },
                Node::Range(pipeline, body, otherwise) => self.range(pipeline, body, otherwise, dot)?,
            }
        }
        Ok(())
    }

    fn range(&mut self, pipeline: &Pipeline, body: &[Node], otherwise: &[Node], dot: &Value) -> Result<(), String> {
        let items: Vec<(Value, Value)> = match self.pipeline(pipeline, dot)? {
            Some(Value::Array(items)) => items.into_iter().enumerate().map(|(at, item)| (at.into(), item)).collect(),
            Some(Value::Object(map)) => {
                let mut entries: Vec<(String, Value)> = map.into_iter().collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                entries.into_iter().map(|(key, value)| (key.into(), value)).collect()
            }
            None | Some(Value::Null) => Vec::new(),
            Some(other) => return Err(format!("range can't iterate over {}", go_print(&other))),
        };
        if items.is_empty() {
            return self.scoped(otherwise, dot, &[], &[]);
        }
        for (key, item) in items {
            let values = if pipeline.variables.len() > 1 { vec![key, item.clone()] } else { vec![item.clone()] };
            self.scoped(body, &item, &pipeline.variables, &values)?;
        }
        Ok(())
    }

    fn scoped(&mut self, nodes: &[Node], dot: &Value, names: &[String], values: &[Value]) -> Result<(), String> {
        let height = self.variables.len();
        self.variables.extend(names.iter().cloned().zip(values.iter().cloned()));
        let result = self.nodes(nodes, dot);
        self.variables.truncate(height);
        result
    }

    fn set(&mut self, names: &[String], values: &[Value]) {
        for (name, value) in names.iter().zip(values) {
            match self.variables.iter_mut().rev().find(|(known, _)| known == name) {
                Some((_, held)) => *held = value.clone(),
                None => self.variables.push((name.clone(), value.clone())),
            }
        }
    }

    fn pipeline(&self, pipeline: &Pipeline, dot: &Value) -> Result<Option<Value>, String> {
        let mut piped: Option<Option<Value>> = None;
        for command in &pipeline.commands {
            piped = Some(self.command(command, dot, piped)?);
        }
        Ok(piped.flatten())
    }

    fn command(&self, command: &[Operand], dot: &Value, piped: Option<Option<Value>>) -> Result<Option<Value>, String> {
        let Some((Operand::Function(name), arguments)) = command.split_first() else {
            return match command.first() {
                Some(operand) => self.operand(operand, dot),
                None => Ok(None),
            };
        };
        let mut values = Vec::with_capacity(arguments.len() + 1);
        for argument in arguments {
            values.push(self.operand(argument, dot)?);
        }
        values.extend(piped);
        call(name, values)
    }

    fn operand(&self, operand: &Operand, dot: &Value) -> Result<Option<Value>, String> {
        match operand {
            Operand::Field(path) => walk(dot, path),
            Operand::Variable(name, path) => {
                let held = self.variables.iter().rev().find(|(known, _)| known == name);
                walk(&held.ok_or_else(|| format!("undefined variable: ${name}"))?.1, path)
            }
            Operand::Literal(value) => Ok(Some(value.clone())),
            Operand::Function(name) => call(name, Vec::new()),
            Operand::Group(pipeline, path) => match self.pipeline(pipeline, dot)? {
                Some(value) => walk(&value, path),
                None => Ok(None),
            },
        }
    }
}

fn walk(value: &Value, path: &[String]) -> Result<Option<Value>, String> {
    let mut value = value;
    for name in path {
        match value {
            Value::Object(map) => match map.get(name) {
                Some(field) => value = field,
                None => return Ok(None),
            },
            Value::Null => return Err(format!("nil pointer evaluating interface {{}}.{name}")),
            other => return Err(format!("can't evaluate field {name} in type {}", go_type(other))),
        }
    }
    Ok(Some(value.clone()))
}

const fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        _ => "interface {}",
    }
}
