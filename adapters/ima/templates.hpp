#pragma once
// For the .cpp files of this room only: what each template consists of (kernel:
// ima_template.c, builtin_templates).

#include "adapters/ima/ima.hpp"

#include <algorithm>
#include <array>

namespace custos::ima {

/// How a field of a template is written in the ASCII list.
enum class field_form : std::uint8_t { digest, text, hex };

inline constexpr std::size_t fields_max = 5;

struct template_form {
  std::string_view name;
  template_kind kind;
  std::size_t fields;
  std::array<field_form, fields_max> forms;
};

inline constexpr std::array<template_form, 7> templates{{
    {"ima-ng", template_kind::ima_ng, 2, {field_form::digest, field_form::text}},
    {"ima-sig", template_kind::ima_sig, 3, {field_form::digest, field_form::text, field_form::hex}},
    {"ima-buf", template_kind::ima_buf, 3, {field_form::digest, field_form::text, field_form::hex}},
    {"ima-modsig",
     template_kind::ima_modsig,
     5,
     {field_form::digest, field_form::text, field_form::hex, field_form::digest, field_form::hex}},
    {"ima-ngv2", template_kind::ima_ngv2, 2, {field_form::digest, field_form::text}},
    {"ima-sigv2",
     template_kind::ima_sigv2,
     3,
     {field_form::digest, field_form::text, field_form::hex}},
    {"ima", template_kind::ima, 2, {field_form::hex, field_form::text}},
}};
inline constexpr std::size_t template_chars_max = 10; // "ima-modsig"

inline const template_form* find_template(std::string_view name) {
  const auto* const at = std::find_if(templates.begin(), templates.end(),
                                      [&](const auto& t) { return t.name == name; });
  return at == templates.end() ? nullptr : at;
}

} // namespace custos::ima
