#pragma once
// Between the parts of `custos image`; nobody else includes this.

#include "cluster/image_file.hpp"
#include "runtime/cli/session.hpp"

#include <boost/json/fwd.hpp>
#include <string>

namespace custos::cli {

/// Path of the base images at the coordinator.
result<std::string> base_images_path(session& s);
/// Path of what is asked about attestation at the coordinator ("…/attestation").
result<std::string> attestation_path(session& s);

/// An image file; errors name the file.
result<cluster::image_file> open_image_file(const std::string& file,
                                            const std::vector<std::string>& trusted_keys = {});
/// The image's own document with its name, as files and the coordinator have it.
result<boost::json::object> document_of(const base_image& image);

void add_image_export(command_set& commands, CLI::App* group);
/// explain, diff, simulate.
void add_image_questions(command_set& commands, CLI::App* group);

} // namespace custos::cli
