# cmake -DPAGE=src/fovea/views/page -DOUTPUT=FILE.cpp -P scripts/embed_page.cmake
# Writes the page's sources as constants (src/fovea/views/page_parts.h). The scripts become one, in this order;
# the hashes are those that the page's content security policy names.
set(SCRIPTS recording colour state controls reading head_view matrix_view model_view chart main)

file(READ ${PAGE}/attention.html html)
file(READ ${PAGE}/attention.css style)
set(script "\"use strict\";\n")
foreach(name ${SCRIPTS})
  file(READ ${PAGE}/${name}.js content)
  string(APPEND script "${content}")
endforeach()

set(output "#include \"fovea/views/page_parts.h\"\n\nnamespace fovea::views::page {\n\n")
foreach(part html style script)
  string(APPEND output "const std::string_view ${part} = R\"fovea(${${part}})fovea\";\n\n")
endforeach()
foreach(part style script)
  string(SHA256 hash "${${part}}")
  string(APPEND output "const std::string_view ${part}_sha256 = \"${hash}\";\n\n")
endforeach()
string(APPEND output "}  // namespace fovea::views::page\n")
file(WRITE ${OUTPUT} "${output}")
