//! Shapes and fields as schemas.

use serde_json::{Value, json};
use utoipa::openapi::schema::{AnyOfBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{
    AllOfBuilder, ArrayBuilder, Components, ComponentsBuilder, Deprecated, ObjectBuilder, Ref, RefOr,
};

use crate::api::ENDPOINTS;
use crate::api::about::{COMMON, Field, Is, Need, OF_A_GROUP, Shape, prose};

/// The fields that every answer has. Source: docs/spec/rest-api.md 2.4.
pub const OK: &str = "Ok";
pub const FAILURE: &str = "Failure";

/// Every shape that has a name, in alphabetical order, and the envelope.
pub fn components() -> Components {
    let envelope = ComponentsBuilder::new().schema(OK, envelope(true)).schema(FAILURE, envelope(false));
    named_shapes().into_iter().fold(envelope, |all, shape| all.schema(shape.name, described(shape))).build()
}

/// Every shape with a name that a command takes or answers, each once, in alphabetical order.
pub fn named_shapes() -> Vec<&'static Shape> {
    fn gather(shape: &'static Shape, out: &mut Vec<&'static Shape>) {
        if !shape.name.is_empty() {
            out.push(shape);
        }
        shape.with.iter().for_each(|shape| gather(shape, out));
        shape.fields.iter().for_each(|field| inside(field.is, out));
    }
    fn inside(is: Is, out: &mut Vec<&'static Shape>) {
        match is {
            Is::Object(shape) => gather(shape, out),
            Is::List(item) => inside(*item, out),
            _ => {}
        }
    }
    let mut shapes = Vec::new();
    for (_, endpoint, _) in ENDPOINTS {
        let about = endpoint.about();
        gather(&about.request, &mut shapes);
        gather(&about.answer, &mut shapes);
    }
    shapes.sort_by_key(|shape| shape.name);
    shapes.dedup_by_key(|shape| shape.name);
    shapes
}

fn envelope(ok: bool) -> Schema {
    let word = if ok { "OK" } else { "FAIL" };
    let code = schema_object(Type::Integer);
    let (code, info) = match ok {
        true => (code.enum_values(Some([json!(0)])), "Empty."),
        false => {
            let why = format!("Why, for programs. {}", meanings([COMMON, OF_A_GROUP].concat().as_slice()));
            (code.minimum(Some(1.0)).description(Some(why)), "Why, for people.")
        }
    };
    ObjectBuilder::new()
        .property("ActionStatus", schema_object(Type::String).enum_values(Some([word])))
        .property("ErrorInfo", schema_object(Type::String).description(Some(info)))
        .property("ErrorCode", code)
        .required("ActionStatus")
        .required("ErrorInfo")
        .required("ErrorCode")
        .into()
}

fn described(shape: &'static Shape) -> RefOr<Schema> {
    let schema = match object(shape) {
        Schema::AllOf(mut all) => {
            all.description = Some(prose(shape.means));
            Schema::AllOf(all)
        }
        Schema::Object(mut object) => {
            object.description = Some(prose(shape.means));
            Schema::Object(object)
        }
        other => other,
    };
    schema.into()
}

/// The schema of an object; what it comes with is referred to.
pub fn object(shape: &'static Shape) -> Schema {
    let mut own = ObjectBuilder::new();
    let mut choices = Vec::new();
    for field in shape.fields {
        own = own.property(field.name, field_schema(field));
        for name in field.also {
            own = own.property(*name, other_name(field));
        }
        // A field with several names, or one that another can stand for, is needed under any of them.
        let others: Vec<&str> = match field.need {
            Need::Unless(other) => vec![other],
            _ => field.also.to_vec(),
        };
        if field.need == Need::Sometimes {
            continue;
        }
        if others.is_empty() {
            own = own.required(field.name);
        } else {
            choices.push([&[field.name], &others[..]].concat());
        }
    }
    if shape.with.is_empty() && choices.is_empty() {
        return own.into();
    }
    let mut all = AllOfBuilder::new();
    for shape in shape.with {
        all = all.item(Ref::from_schema_name(shape.name));
    }
    all = all.item(own);
    for names in choices {
        all = all.item(any_of(&names));
    }
    all.into()
}

fn any_of(names: &[&str]) -> Schema {
    let with = |name: &&str| ObjectBuilder::new().required(*name);
    names.iter().fold(AnyOfBuilder::new(), |any, name| any.item(with(name))).into()
}

fn field_schema(field: &Field) -> RefOr<Schema> {
    let mut meaning = field.meaning();
    // Links lead to chapters of the page for people.
    if let Some((before, after)) = meaning.split_once("](#") {
        let after = after.split_once(')').map_or("", |(_, after)| after);
        meaning = format!("{}{after}", before.replace('[', ""));
    }
    let meaning = capitalised(&meaning) + ".";
    match schema(field.is) {
        RefOr::Ref(mut reference) => {
            reference.description = meaning;
            RefOr::Ref(reference)
        }
        RefOr::T(Schema::Object(mut object)) => {
            object.description = Some(meaning);
            RefOr::T(Schema::Object(object))
        }
        RefOr::T(Schema::Array(mut array)) => {
            array.description = Some(meaning);
            RefOr::T(Schema::Array(array))
        }
        other => other,
    }
}

fn other_name(field: &Field) -> RefOr<Schema> {
    match schema(field.is) {
        RefOr::T(Schema::Object(mut object)) => {
            object.description = Some(format!("Another name of `{}`.", field.name));
            object.deprecated = Some(Deprecated::True);
            RefOr::T(Schema::Object(object))
        }
        other => other,
    }
}

/// The schema of a value.
pub fn schema(is: Is) -> RefOr<Schema> {
    let built = match is {
        Is::Text | Is::GroupId | Is::TopicId | Is::Account => schema_object(Type::String),
        Is::Word(words) => schema_object(Type::String).enum_values(Some(words.iter().copied())),
        Is::Scalar => {
            ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Number, Type::Boolean]))
        }
        Is::Signed => schema_object(Type::Integer).format(Some(SchemaFormat::Custom("int64".into()))),
        Is::Integer(min, max) => integer(min, max),
        Is::Object(shape) if shape.name.is_empty() => return object(shape).into(),
        Is::Object(shape) => return Ref::from_schema_name(shape.name).into(),
        Is::List(item) => return ArrayBuilder::new().items(schema(*item)).into(),
    };
    built.into()
}

fn integer(min: u64, max: u64) -> ObjectBuilder {
    let integer = schema_object(Type::Integer);
    match max {
        u64::MAX => integer.format(Some(SchemaFormat::Custom("uint64".into()))).minimum(Some(min as f64)),
        0..=3 => integer.enum_values(Some((min..=max).map(Value::from))),
        _ => integer.minimum(Some(min as f64)).maximum(Some(max as f64)),
    }
}

fn schema_object(is: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(is)
}

/// Codes and their meanings, one sentence each.
pub fn meanings(codes: &[(u32, &str)]) -> String {
    let sentence = |(code, why): &(u32, &str)| format!("{code}: {}.", prose(why));
    codes.iter().map(sentence).collect::<Vec<_>>().join(" ")
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
