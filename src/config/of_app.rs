//! What one app is run by: the configuration of all apps with the app's own keys laid over it.
//!
//! Layers, later ones win: what holds for all apps, the app's `edition`, its `limits.profile_preset`, its keys.
//! Tables are merged key by key; a list replaces the other list.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    App, Config, ConfigError, CustomFields, Defaults, Edition, LimitsSection, ProfilePreset, limits, one_line,
};

/// A table of keys of an app's own, not yet read: it means something only over the keys of all apps.
pub type OwnKeys = serde_json::Map<String, Value>;

/// The sections in which apps may differ.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AppSettings {
    pub limits: LimitsSection,
    pub defaults: Defaults,
    pub custom_fields: CustomFields,
}

impl AppSettings {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        limits::validate(&self.limits, &self.defaults)?;
        self.custom_fields.validate(&self.limits)
    }
}

impl Config {
    /// What an app is run by that says nothing itself.
    pub fn common_settings(&self) -> AppSettings {
        let Config { limits, defaults, custom_fields, .. } = self;
        AppSettings { limits: limits.clone(), defaults: defaults.clone(), custom_fields: custom_fields.clone() }
    }

    /// What an app is run by.
    ///
    /// # Errors
    /// [`ConfigError::App`] for a key of the app's own that is unknown or out of its range.
    pub fn settings_of(&self, app: &App) -> Result<AppSettings, ConfigError> {
        let refused = |reason: String| ConfigError::App { id: app.id, reason };
        let mut layers = serde_json::to_value(self.common_settings()).map_err(|e| refused(e.to_string()))?;
        let preset = app.limits.get("profile_preset").and_then(|word| ProfilePreset::deserialize(word).ok());
        let of_edition = app.edition.unwrap_or(Edition::None).numbers();
        let of_preset = preset.into_iter().flat_map(ProfilePreset::lengths);
        for (key, number) in of_edition.into_iter().chain(of_preset) {
            let nested = key.rsplit('.').fold(json!(number), |inner, name| json!({ name: inner }));
            lay_over(&mut layers, &nested);
        }
        let own = json!({ "limits": app.limits, "defaults": app.defaults, "custom_fields": app.custom_fields });
        lay_over(&mut layers, &own);
        let settings = AppSettings::deserialize(as_layer(layers)).map_err(|e| refused(one_line(&e)))?;
        settings.validate().map_err(|e| refused(e.to_string()))?;
        Ok(settings)
    }
}

fn lay_over(below: &mut Value, above: &Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                lay_over(below.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above.clone(),
    }
}

/// As the other layers are held: there the text of an environment variable is read as the number it means.
fn as_layer(value: Value) -> config::Value {
    use config::ValueKind;
    let kind = match value {
        Value::Null => ValueKind::Nil,
        Value::Bool(on) => ValueKind::Boolean(on),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => ValueKind::I64(number),
            (None, Some(number)) => ValueKind::U64(number),
            (None, None) => ValueKind::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => ValueKind::String(text),
        Value::Array(items) => ValueKind::Array(items.into_iter().map(as_layer).collect()),
        Value::Object(fields) => ValueKind::Table(fields.into_iter().map(|(key, v)| (key, as_layer(v))).collect()),
    };
    config::Value::new(None, kind)
}
