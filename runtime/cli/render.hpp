#pragma once
// What the command line shows of JSON answers. Pure.

#include <boost/json/fwd.hpp>
#include <string>

namespace custos::cli {

/// For people: a line a member, arrays of objects as a table, texts of several lines (PEM) as they
/// are. Control characters other than the newline come out as '?': an answer cannot steer the
/// terminal.
std::string as_text_block(const boost::json::value& v);

/// For files and programs: two spaces a level, members in the order of the value, one final
/// newline.
std::string as_indented_json(const boost::json::value& v);

} // namespace custos::cli
