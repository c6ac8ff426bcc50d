//! Holds every answer against the document that the node serves about itself.
//!
//! Knows as much of JSON Schema as the document uses, and is stricter in one point: a field that is not described is
//! wrong, although callers are told to ignore what they do not know.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde_json::Value;

/// What a node answered at `/openapi.json`; the same on every node.
static DOCUMENT: OnceLock<Value> = OnceLock::new();

/// The services that commands are described under: all services of groups answer to the same commands.
const GROUPS: &str = "group_open_http_svc";
const ACCOUNTS: &str = "im_open_login_svc";

/// The document, once it is known.
pub fn document() -> Option<&'static Value> {
    DOCUMENT.get()
}

/// Takes the document, if none is known yet; the one that is known.
pub fn learn(document: &[u8]) -> &'static Value {
    let document: Value = serde_json::from_slice(document).expect("/openapi.json is JSON");
    DOCUMENT.get_or_init(|| document)
}

/// Says what is wrong with an answer to `POST` or `GET` of that path; nothing for a path that is no command's.
pub fn complaint(path: &str, answer: &[u8]) -> Option<String> {
    let document = document()?;
    let mut segments = path.split('?').next()?.strip_prefix("/v4/")?.split('/');
    let (service, command) = (segments.next()?, segments.next().unwrap_or_default());
    let answer: Value = match serde_json::from_slice(answer) {
        Ok(answer) => answer,
        Err(e) => return Some(format!("{path}: not JSON: {e}")),
    };
    let service = if service == ACCOUNTS { ACCOUNTS } else { GROUPS };
    let schema = match answer_schema(document, &format!("/v4/{service}/{command}")) {
        Some(schema) => schema,
        // Nobody's command: only that it fails is described.
        None => &document["components"]["schemas"]["Failure"],
    };
    check(document, schema, &answer).err().map(|why| format!("{command}: {why}: {answer}"))
}

fn answer_schema<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    document["paths"].get(path).map(|item| &item["post"]["responses"]["200"]["content"]["application/json"]["schema"])
}

/// Checks a value against a schema, with no field besides those that are described.
///
/// # Errors
/// What is wrong, and where.
pub fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    Checker { document }.whole(schema, value, "")
}

struct Checker<'a> {
    document: &'a Value,
}

impl<'a> Checker<'a> {
    /// A value as it is: what it satisfies, and that it has nothing else.
    fn whole(&self, schema: &'a Value, value: &Value, at: &str) -> Result<(), String> {
        let mut known = BTreeSet::new();
        self.part(schema, value, at, &mut known)?;
        let unknown = value.as_object().into_iter().flatten().map(|(name, _)| name).find(|name| !known.contains(*name));
        match unknown {
            Some(name) => Err(format!("{at}/{name} is not described")),
            None => Ok(()),
        }
    }

    /// One schema out of those that a value has to satisfy; notes the fields that it describes.
    fn part(&self, schema: &'a Value, value: &Value, at: &str, known: &mut BTreeSet<String>) -> Result<(), String> {
        if let Some(reference) = schema["$ref"].as_str() {
            return self.part(self.resolve(reference), value, at, known);
        }
        for keyword in schema.as_object().into_iter().flatten().map(|(keyword, _)| keyword) {
            assert!(KEYWORDS.contains(&keyword.as_str()), "{at}: this checker does not know {keyword}");
        }
        for part in list(&schema["allOf"]) {
            self.part(part, value, at, known)?;
        }
        for keyword in ["oneOf", "anyOf"] {
            self.alternatives(keyword, list(&schema[keyword]), value, at, known)?;
        }
        if !schema["type"].is_null() && !types(&schema["type"]).iter().any(|is| has_type(value, is)) {
            return Err(format!("{at} is no {}", schema["type"]));
        }
        if let Some(words) = schema["enum"].as_array().filter(|words| !words.contains(value)) {
            return Err(format!("{at} is {value}, not of {words:?}"));
        }
        let out_of_range = |bound: &str, wrong: fn(f64, f64) -> bool| {
            schema[bound].as_f64().zip(value.as_f64()).is_some_and(|(bound, value)| wrong(value, bound))
        };
        if out_of_range("minimum", |value, min| value < min) || out_of_range("maximum", |value, max| value > max) {
            return Err(format!("{at} is {value}, out of range"));
        }
        for item in value.as_array().into_iter().flatten().filter(|_| !schema["items"].is_null()) {
            self.whole(&schema["items"], item, &format!("{at}[]"))?;
        }
        self.fields(schema, value, at, known)
    }

    fn alternatives(
        &self,
        keyword: &str,
        schemas: &'a [Value],
        value: &Value,
        at: &str,
        known: &mut BTreeSet<String>,
    ) -> Result<(), String> {
        if schemas.is_empty() {
            return Ok(());
        }
        let mut matching = 0;
        let mut reasons = Vec::new();
        for schema in schemas {
            let mut names = BTreeSet::new();
            match self.part(schema, value, at, &mut names) {
                Ok(()) => {
                    matching += 1;
                    known.extend(names);
                }
                Err(why) => reasons.push(why),
            }
        }
        match (keyword, matching) {
            ("anyOf", 1..) | (_, 1) => Ok(()),
            (_, 0) => Err(reasons.join(" and ")),
            _ => Err(format!("{at} is {matching} of its alternatives")),
        }
    }

    fn fields(&self, schema: &'a Value, value: &Value, at: &str, known: &mut BTreeSet<String>) -> Result<(), String> {
        let Some(object) = value.as_object() else { return Ok(()) };
        for name in list(&schema["required"]).iter().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                return Err(format!("{at}/{name} is missing"));
            }
        }
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            known.insert(name.clone());
            if let Some(value) = object.get(name) {
                self.whole(schema, value, &format!("{at}/{name}"))?;
            }
        }
        Ok(())
    }

    fn resolve(&self, reference: &str) -> &'a Value {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads out of the document"));
        self.document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }
}

/// What the checker knows, and what means nothing to it.
const KEYWORDS: [&str; 14] = [
    "allOf",
    "oneOf",
    "anyOf",
    "type",
    "enum",
    "minimum",
    "maximum",
    "items",
    "required",
    "properties",
    "description",
    "deprecated",
    "format",
    "default",
];

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn types(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

fn has_type(value: &Value, is: &str) -> bool {
    match is {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("{is} is no type"),
    }
}
