//! Holds the description of a command and its reader together.
//!
//! The reader is asked, field by field: does it take what is described, refuse what is not, and ask for nothing else?

use serde_json::{Map, Value, json};

use super::testing::Bench;
use crate::api::Call;
use crate::api::about::{About, Field, Is, Limit, Need, Shape, default_of};
use crate::api::body::{Object, asked};
use crate::api::error::Failure;

/// Long enough for whatever has a limit of bytes; a longer text is not worth a test.
const TEXT_BYTES_MAX: usize = 10_000;

/// Fails where the description of a command says something else than its reader does.
pub fn described<T>(about: &About, read: impl Fn(&Call<'_>, &Object<'_>) -> Result<T, Failure>) {
    let bench = Bench::new();
    asked::take();
    let try_text = |text: &str| bench.read(text, &read).map(|_| ());
    let try_body = |body: &Value| try_text(&body.to_string());

    assert_eq!(try_text(about.example.request), Ok(()), "the example request");
    let example: Value = serde_json::from_str(about.example.request).expect("the example is JSON");
    let of_example = names_in(&example);
    let known = names(&about.request);
    let strangers: Vec<&String> = of_example.iter().filter(|name| !known.contains(name)).collect();
    assert!(strangers.is_empty(), "the example has {strangers:?}, which is not described");

    let whole = sample_object(&about.request);
    assert_eq!(try_body(&whole), Ok(()), "only what is required: {whole}");
    for field in about.request.all() {
        check_field(&about.request, field, &|object| try_body(&object));
    }

    let strangers: Vec<String> = asked::take().into_iter().filter(|name| !known.contains(name)).collect();
    assert!(strangers.is_empty(), "the reader asks for {strangers:?}, which is not described");
}

type Try<'a> = &'a dyn Fn(Value) -> Result<(), Failure>;

/// Checks one field of an object, under each of its names; `attempt` puts the object where it belongs.
fn check_field(shape: &Shape, field: &Field, attempt: Try<'_>) {
    for name in field.also.iter().copied().chain([field.name]) {
        let with = |value: Value| {
            let mut object = sample_without(shape, field);
            // What it can stand for is left out, so that it is asked for itself.
            object.retain(|name, _| shape.all().iter().all(|f| f.name != name || f.need != Need::Unless(field.name)));
            object.insert(name.to_owned(), value);
            attempt(Value::Object(object))
        };
        for value in good(field) {
            assert_eq!(with(value.clone()), Ok(()), "{name}: {value}");
        }
        for value in bad(field) {
            let refused = with(value.clone());
            assert!(refused.is_err(), "{name}: {} was taken", cut(&value));
        }
        for value in wrong_types(field.is) {
            let failure = with(value.clone()).expect_err(&format!("{name}: {value} was taken"));
            assert!(failure.info.contains(name), "{name}: {value}: {}", failure.info);
        }
        check_inside(field.is, &|value| with(value));
    }
    let absent = attempt(Value::Object(sample_without(shape, field)));
    let null = {
        let mut object = sample_without(shape, field);
        object.insert(field.name.to_owned(), Value::Null);
        attempt(Value::Object(object))
    };
    let is_needed = field.need != Need::Sometimes;
    assert_eq!((absent.is_err(), null.is_err()), (is_needed, is_needed), "{} absent, null", field.name);
}

/// Checks what a field holds; `attempt` sets the field.
fn check_inside(is: Is, attempt: Try<'_>) {
    match is {
        Is::Object(shape) => shape.all().into_iter().for_each(|field| check_field(shape, field, attempt)),
        Is::List(item) => {
            for wrong in wrong_types(*item) {
                assert!(attempt(json!([wrong])).is_err(), "an item {wrong} was taken");
            }
            check_inside(*item, &|value| attempt(json!([value])));
        }
        _ => {}
    }
}

/// Every value that is worth asking and described as allowed.
fn good(field: &Field) -> Vec<Value> {
    let mut values = vec![sample(field.is)];
    match field.is {
        Is::Integer(min, max) => values.extend([json!(min), json!(max), json!(max.to_string())]),
        Is::Signed => values.extend([json!(i64::MIN), json!(i64::MAX), json!("-1")]),
        Is::Word(words) => values.extend(words.iter().map(|word| json!(word))),
        Is::Scalar => values.extend([json!(7), json!(true), json!("")]),
        _ => {}
    }
    match field.limit {
        Some(Limit::Bytes(key)) => values.extend(text(number(key))),
        Some(Limit::Items(key)) => values.push(list(field.is, number(key))),
        Some(Limit::Page(key)) => values.extend([json!(number(key) + 1), json!(0)]),
        None => {}
    }
    values
}

/// Values of the right type that are described as too much.
fn bad(field: &Field) -> Vec<Value> {
    let mut values = match field.is {
        Is::Integer(min, max) => {
            let below = min.checked_sub(1).map(|n| json!(n));
            below.into_iter().chain([json!((u128::from(max) + 1).to_string()), json!(-1), json!(1.5)]).collect()
        }
        Is::Signed => vec![json!(9_223_372_036_854_775_808_u64), json!(1.5)],
        Is::Word(_) => vec![json!("Nonsense"), json!("")],
        Is::GroupId | Is::TopicId => vec![json!("\t")],
        Is::Account => vec![json!(""), json!("a".repeat(33))],
        Is::List(_) if field.need != Need::Sometimes => vec![json!([])],
        _ => vec![],
    };
    match field.limit {
        Some(Limit::Bytes(key)) => values.extend(text(number(key) + 1)),
        Some(Limit::Items(key)) => values.push(list(field.is, number(key) + 1)),
        Some(Limit::Page(_)) | None => {}
    }
    values
}

fn wrong_types(is: Is) -> Vec<Value> {
    match is {
        Is::Text | Is::Word(_) | Is::GroupId | Is::TopicId | Is::Account => {
            vec![json!(7), json!(true), json!([]), json!({})]
        }
        Is::Integer(..) | Is::Signed => vec![json!("many"), json!(true), json!([]), json!({})],
        Is::Scalar => vec![json!([]), json!({})],
        Is::Object(_) => vec![json!("x"), json!(7), json!([])],
        Is::List(_) => vec![json!("x"), json!(7), json!({})],
    }
}

/// Something that a field may hold.
fn sample(is: Is) -> Value {
    match is {
        Is::Text | Is::Scalar => json!("x"),
        Is::GroupId => json!("g"),
        Is::TopicId => json!("g@TOPIC#_x"),
        Is::Account => json!("otto"),
        Is::Integer(min, _) => json!(min),
        Is::Signed => json!(1),
        Is::Word(words) => json!(words[0]),
        Is::Object(shape) => sample_object(shape),
        Is::List(item) => json!([sample(*item)]),
    }
}

/// An object with what is required and no more.
fn sample_object(shape: &Shape) -> Value {
    let needed = shape.all().into_iter().filter(|field| field.need != Need::Sometimes);
    Value::Object(needed.map(|field| (field.name.to_owned(), sample(field.is))).collect())
}

fn sample_without(shape: &Shape, field: &Field) -> Map<String, Value> {
    let Value::Object(mut object) = sample_object(shape) else { unreachable!("it is one") };
    object.remove(field.name);
    object
}

fn list(is: Is, count: usize) -> Value {
    let Is::List(item) = is else { panic!("a limit of items is that of a list") };
    Value::Array(vec![sample(*item); count])
}

fn text(bytes: usize) -> Option<Value> {
    (bytes <= TEXT_BYTES_MAX).then(|| json!("x".repeat(bytes)))
}

fn number(key: &str) -> usize {
    default_of(key).parse().unwrap_or_else(|_| panic!("{key} is a number"))
}

fn cut(value: &Value) -> String {
    value.to_string().chars().take(80).collect()
}

/// Every name that is described, at whatever depth.
fn names(shape: &Shape) -> Vec<String> {
    fn inside(is: Is) -> Vec<String> {
        match is {
            Is::Object(shape) => names(shape),
            Is::List(item) => inside(*item),
            _ => vec![],
        }
    }
    let of = |field: &Field| {
        let own = field.also.iter().copied().chain([field.name]).map(str::to_owned);
        own.chain(inside(field.is)).collect::<Vec<_>>()
    };
    shape.all().into_iter().flat_map(of).collect()
}

fn names_in(value: &Value) -> Vec<String> {
    match value {
        Value::Object(object) => {
            object.iter().flat_map(|(name, value)| [vec![name.clone()], names_in(value)].concat()).collect()
        }
        Value::Array(items) => items.iter().flat_map(names_in).collect(),
        _ => vec![],
    }
}
