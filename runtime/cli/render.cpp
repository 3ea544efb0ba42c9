#include "runtime/cli/render.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <vector>

namespace custos::cli {

namespace bj = boost::json;

namespace {

constexpr std::size_t indent_columns = 2;

std::string printable(std::string_view text) {
  std::string out(text);
  for (auto& c : out)
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == '\x7f')
      c = '?';
  return out;
}

/// A value that fits into a line; empty for null.
std::string scalar(const bj::value& v) {
  if (v.is_string())
    return printable(v.get_string());
  return v.is_null() ? std::string() : bj::serialize(v);
}

bool is_scalar(const bj::value& v) {
  return !v.is_object() && !v.is_array();
}

bool has_lines(const bj::value& v) {
  return v.is_string() && v.get_string().find('\n') != bj::string::npos;
}

/// A table needs objects of scalars that each fit into a line.
bool is_table(const bj::array& rows) {
  return !rows.empty() && std::all_of(rows.begin(), rows.end(), [](const bj::value& row) {
    return row.is_object() &&
           std::all_of(row.get_object().begin(), row.get_object().end(), [](const auto& member) {
             return is_scalar(member.value()) && !has_lines(member.value());
           });
  });
}

std::string table(const bj::array& rows, std::size_t indent) {
  std::vector<std::string> columns;
  for (const auto& row : rows)
    for (const auto& member : row.get_object())
      if (std::find(columns.begin(), columns.end(), member.key()) == columns.end())
        columns.emplace_back(member.key());
  std::vector<std::vector<std::string>> cells{columns};
  for (const auto& row : rows) {
    auto& line = cells.emplace_back();
    for (const auto& column : columns) {
      const auto* const v = row.get_object().if_contains(column);
      line.push_back(v == nullptr ? std::string() : scalar(*v));
    }
  }
  std::string out;
  for (const auto& line : cells) {
    std::string text(indent, ' ');
    for (std::size_t i = 0; i < line.size(); ++i) {
      std::size_t width = 0;
      for (const auto& other : cells)
        width = std::max(width, other[i].size());
      text += line[i];
      if (i + 1 < line.size())
        text.append(width + indent_columns - line[i].size(), ' ');
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  }
  return out;
}

std::string indented_lines(const std::string& text, std::size_t indent) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    out += std::string(indent, ' ') + text.substr(at, end - at) + "\n";
    at = end + 1;
  }
  return out;
}

std::string block(const bj::value& v, std::size_t indent) {
  if (is_scalar(v))
    return v.is_null() ? std::string() : indented_lines(scalar(v), indent);
  std::string out;
  if (v.is_array()) {
    if (is_table(v.get_array()))
      return table(v.get_array(), indent);
    for (const auto& item : v.get_array()) {
      if (is_scalar(item) && !has_lines(item)) {
        out += std::string(indent, ' ') + "- " + scalar(item) + "\n";
        continue;
      }
      auto text = block(item, indent + indent_columns);
      if (text.size() > indent && item.is_object())
        text[indent] = '-';
      out += text;
    }
    return out;
  }
  for (const auto& member : v.get_object()) {
    const auto name = std::string(indent, ' ') + printable(member.key()) + ":";
    if (is_scalar(member.value()) && !has_lines(member.value())) {
      const auto text = scalar(member.value());
      out += name + (text.empty() ? "" : " " + text) + "\n";
      continue;
    }
    const auto inner = block(member.value(), indent + indent_columns);
    out += name + (inner.empty() ? " none\n" : "\n" + inner);
  }
  return out;
}

void write_indented(const bj::value& v, std::size_t indent, std::string& out) {
  const std::string inner(indent + indent_columns, ' ');
  const std::string outer(indent, ' ');
  if (v.is_array() && !v.get_array().empty()) {
    out += "[\n";
    for (std::size_t i = 0; i < v.get_array().size(); ++i) {
      out += inner;
      write_indented(v.get_array()[i], indent + indent_columns, out);
      out += i + 1 < v.get_array().size() ? ",\n" : "\n";
    }
    out += outer + "]";
  } else if (v.is_object() && !v.get_object().empty()) {
    out += "{\n";
    std::size_t left = v.get_object().size();
    for (const auto& member : v.get_object()) {
      out += inner + bj::serialize(bj::string(member.key())) + ": ";
      write_indented(member.value(), indent + indent_columns, out);
      out += --left > 0 ? ",\n" : "\n";
    }
    out += outer + "}";
  } else {
    out += bj::serialize(v);
  }
}

} // namespace

std::string as_text_block(const bj::value& v) {
  return block(v, 0);
}

std::string as_indented_json(const bj::value& v) {
  std::string out;
  write_indented(v, 0, out);
  return out + "\n";
}

} // namespace custos::cli
