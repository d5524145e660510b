#!/usr/bin/env python3
"""Chat templates: fovea beside Jinja, set up as transformers' apply_chat_template sets it up.

    chat_templates_jinja.py                   every template below on every conversation, and expressions
    chat_templates_jinja.py --model DIR       the template of a model directory instead
    chat_templates_jinja.py --write FILE      the same with what Jinja says, for the tests

Templates in the style of the families that models come with (ChatML, Llama 2 and 3, Mistral, Gemma, Phi, Zephyr, DeepSeek,
Qwen with tools), written for this test; conversations with and without a system message, of odd turns, with tool calls,
empty and long content, several scripts. A template that raises must be refused by both. Exits 1 if anything differs.
"""
import argparse, json, pathlib, subprocess, sys, tempfile

from transformers.utils.chat_template_utils import _compile_jinja_template

TEMPLATES = {
    "chatml": """{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}""",
    "chatml with a default": """{% if not messages or messages[0].role != 'system' %}{{ '<|im_start|>system\\nBe kind.<|im_end|>\\n' }}{% endif %}
{% for m in messages %}
{{- '<|im_start|>' ~ m.role ~ '\\n' ~ m.content | trim ~ '<|im_end|>\\n' -}}
{% endfor %}
{{ '<|im_start|>assistant\\n' if add_generation_prompt else '' }}""",
    "llama 2": """{% if messages[0]['role'] == 'system' %}{% set turns = messages[1:] %}{% set system = messages[0]['content'] %}
{% else %}{% set turns = messages %}{% set system = false %}{% endif %}
{% for message in turns %}
    {% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{ raise_exception('user and assistant take turns') }}
    {% endif %}
    {% if loop.index0 == 0 and system is not false %}
        {% set content = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + message['content'] %}
    {% else %}
        {% set content = message['content'] %}
    {% endif %}
    {% if message['role'] == 'user' %}
        {{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}
    {% elif message['role'] == 'assistant' %}
        {{ ' ' + content.strip() + ' ' + eos_token }}
    {% endif %}
{% endfor %}""",
    "llama 3": """{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start|>' + message['role'] + '<|end|>\\n\\n'+ message['content'] | trim + '<|eot|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant<|end|>\\n\\n' }}{% endif %}""",
    "llama 3 with tools": """{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start|>system<|end|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Tools: on\\n" }}
{%- endif %}
{{- "Today: " + date_string + "\\n\\n" }}
{%- if tools is not none and tools %}
    {{- "You may call:" }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|eot|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start|>' + message['role'] + '<|end|>\\n\\n'+ message['content'] | trim + '<|eot|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("one call at a time") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '{"name": "' + tool_call.name + '", ' }}
        {{- '"parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start|>assistant<|end|>\\n\\n' }}
{%- endif %}
""",
    "mistral": """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- if not tools is defined %}{% set tools = none %}{% endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("roles must take turns") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}{{- ", " }}{%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" }}{%- endif %}
            {%- endfor %}
            {{- "[/TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" and message.content %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- endif %}
{%- endfor %}""",
    "gemma": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system here') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('turns') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<turn>' + role + '\\n' + message['content'] | trim + '<end>\\n' }}{% endfor %}{% if add_generation_prompt %}{{'<turn>model\\n'}}{% endif %}""",
    "gemma with parts": """{{ bos_token }}
{%- set first_user_prefix = "" -%}
{%- for message in messages -%}
    {{ '<turn>' + message['role'] + '\\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("content of an odd type") }}
    {%- endif -%}
    {{ '<end>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<turn>model\\n'}}
{%- endif -%}""",
    "phi": """{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\\n' + message['content'] + '<|end|>\\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}""",
    "zephyr": """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\\n'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}""",
    "deepseek": """{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% set ns = namespace(is_first=false, is_tool=false, is_output_first=true, system_prompt='') %}{%- for message in messages %}{%- if message['role'] == 'system' %}{% set ns.system_prompt = message['content'] %}{%- endif %}{%- endfor %}{{bos_token}}{{ns.system_prompt}}{%- for message in messages %}{%- if message['role'] == 'user' %}{%- set ns.is_tool = false -%}{{'<|User|>' + message['content']}}{%- endif %}{%- if message['role'] == 'assistant' and message['content'] is not none %}{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{'<|Assistant|>' + content + '<|end|>'}}{%- endif %}{%- if message['role'] == 'tool' %}{%- set ns.is_tool = true -%}{%- if ns.is_output_first %}{{'<|outputs|>' ~ message['content']}}{%- set ns.is_output_first = false %}{%- else %}{{'\\n' ~ message['content']}}{%- endif %}{%- endif %}{%- endfor -%}{% if ns.is_tool %}{{'<|outputs end|>'}}{% endif %}{% if add_generation_prompt and not ns.is_tool %}{{'<|Assistant|>'}}{% endif %}""",
    "qwen with tools": """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'Be kind.' }}
    {%- endif %}
    {{- "\\n\\n# Tools\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- elif messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool>') and message.content.endswith('</tool>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning = '' %}
        {%- if message.reasoning_content is defined and message.reasoning_content is not none %}
            {%- set reasoning = message.reasoning_content %}
        {%- elif message.content and '</think>' in message.content %}
            {%- set reasoning = message.content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|im_start|>' + message.role }}
        {%- if loop.index0 > ns.last_query_index and reasoning %}{{- '\\n<think>\\n' + reasoning.strip('\\n') + '\\n</think>' }}{%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\\n<call>\\n{"name": "' }}
            {{- tool_call.name }}
            {{- '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\\n</call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool>\\n' }}
        {{- message.content }}
        {{- '\\n</tool>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}""",
    "macros": """{%- macro describe(spec, level=0, mark='-') -%}
  {%- for name, part in spec|dictsort -%}
    {{ '\\n' ~ '  ' * level ~ mark ~ ' ' ~ name ~ ': ' }}
    {%- if part is mapping -%}{{ describe(part, level + 1, mark='*') }}
    {%- elif part is sequence and part is not string -%}{{ part | join(' | ') }}
    {%- else -%}{{ part }}{%- endif -%}
  {%- endfor -%}
{%- endmacro -%}
{{ bos_token }}{% for m in messages %}[{{ m.role | upper }}]{{ m.content }}{% endfor %}
{%- for tool in tools or [] %}{{ describe(tool.function) }}{% endfor -%}
{% generation %}{{ messages | length }}{% endgeneration %}""",
}

TOOLS = [{"type": "function", "function": {"name": "weather", "description": "The weather at a place's \"heart\" <now> & then",
                                           "parameters": {"type": "object", "properties": {"place": {"type": "string"}, "unit": {"enum": ["C", "F"]}},
                                                          "required": ["place"]}}},
         {"type": "function", "function": {"name": "\u00fcber", "description": "", "parameters": {}, "return": None}}]


def message(role, content, **more):
    return {"role": role, "content": content, **more}


CALL = {"type": "function", "function": {"name": "weather", "arguments": {"place": "K\u00f6ln", "days": 3, "exact": 0.5, "list": [True, None, -1]}}}
CONVERSATIONS = [
    [message("user", "Hello!")],
    [message("system", "You are a lighthouse."), message("user", "  What do you see?\n")],
    [message("user", "Hi"), message("assistant", "Hello. "), message("user", "And now?\n\nMore.")],
    [message("system", "S"), message("user", "\u4f60\u597d"), message("assistant", "\U0001f600 'quoted' \"twice\" <b>&amp;</b>"), message("user", "\u00a0edges\u3000")],
    [message("user", "a"), message("user", "b")],
    [message("assistant", "I begin"), message("user", "odd")],
    [message("user", ""), message("assistant", "")],
    [message("user", "Weather?"), message("assistant", "<think>\nhm\n</think>ok", tool_calls=[CALL]), message("tool", "17 degrees"), message("tool", "18")],
    [message("user", "Weather?"), message("assistant", "", tool_calls=[CALL, CALL]), message("tool", "x")],
    [message("user", [{"type": "image"}, {"type": "text", "text": " What is this? "}])],
    [message("user", "line one\r\nline two\ttab \\ {{ not.a.tag }} {% if %}" * 20)],
    [message("user", "q"), message("assistant", None), message("user", "r")],
    [],
]
VARIABLES = [{}, {"tools": TOOLS}, {"enable_thinking": False, "date_string": "1 Jan 2030"}, {"custom_tools": TOOLS[:1]}]

# Small templates on `v`, a dict of values; each alone.
VALUES = {"s": "Hello, w\u00f6rld", "e": "", "n": 7, "m": -3, "f": 2.5, "t": True, "o": None, "l": [3, 1, 2], "w": ["b", "A", "c", "a"],
          "d": {"x": 1, "b": "two", "a": [1, {"k": "v'q"}]}, "p": [{"r": "u", "c": 1}, {"r": "a", "c": 2}, {"r": "u", "c": 3}],
          "u": "  \u4e2d\u6587 \U0001f600 stra\u00dfe  ", "ml": "one\ntwo\n\nthree"}
EXPRESSIONS = """v.n + 1|v.n - v.m * 2|v.n / 2|v.n // 2|v.m // 2|v.m % 5|v.n ** 2|-v.n|+v.f|v.f * 2|v.f // 1|v.n % 4|2 ** -1|7 // -2|7 % -2|1e3|1.5e-7|1e16|1_000|0.1 + 0.2|1.0
v.s ~ v.n ~ v.o ~ v.t|'a' 'b'|v.s * 2|v.l + [4]|v.l * 2|'%s is %d and %5.2f%%' % ('x', 3, 1.234)|'%s' % v.n|v.s[0]|v.s[-1]|v.u[2]|v.s[1:4]|v.s[::-1]|v.s[-3:]|v.s[:-2]|v.s[4:1:-1]|v.l[1:]|v.l[::2]|v.l[::-2]|v.l[-9:9]|v.l[5]|v.d['x']|v.d.a[1].k|v['s']|v.d.nothing|v.l.0
v.n == 7|v.n == 7.0|v.t == 1|'a' < 'b'|1 < 2 < 3|1 < 2 > 3|v.l == [3, 1, 2]|v.l < [3, 2]|[1] == (1,)|'w' in v.s|9 in v.l|'x' in v.d|'q' not in v.d|not v.e|v.e or 'else'|v.s and v.n|v.o is none|v.q is defined|v.q is undefined|v.s is string|v.d is mapping|v.l is sequence|v.l is iterable|v.n is number|v.f is float|v.n is integer|v.t is boolean|v.t is true|v.t is not false|v.n is odd|v.n is even|v.n is divisibleby 7|v.n is divisibleby(3)|v.s is eq 'x'|3 is in v.l|v.s is sameas v.s|'abc' is lower|'ABC' is upper|v.n is gt 3|v.n is le(7)|v.s.upper is callable|'trim' is filter|'odd' is test
'yes' if v.t else 'no'|'yes' if v.e|(v.q if v.e else v.s)|[1, 'two', 3.0, none, true]|(1, 2)|(1,)|()|{'a': 1, "b'c": [v.o]}|{}|[]|'it\\'s'|"a\\tb\\n\\x41\\u00e9\\U0001f600"|['it\\'s', "\\u00e9\\n\\\\"]
v.s|upper ;; v.s|lower ;; v.u|upper ;; v.u|trim ;; v.s|title ;; 'hello-big (world) x'|title ;; v.s|capitalize ;; v.s|length ;; v.u|length ;; v.l|length ;; v.d|length ;; v.l|first ;; v.l|last ;; v.s|first ;; v.l|sort ;; v.w|sort ;; v.w|sort(case_sensitive=true) ;; v.l|sort(reverse=true) ;; v.p|sort(attribute='c', reverse=true)|map(attribute='c')|list ;; v.l|reverse|list ;; v.s|reverse ;; v.l|sum ;; v.p|sum(attribute='c') ;; v.l|min ;; v.w|max ;; v.w|unique|list ;; v.w|join ;; v.l|join(', ') ;; v.p|join('+', attribute='r') ;; v.p|map(attribute='r')|join ;; v.w|map('upper')|list ;; v.p|map(attribute='zz', default='-')|join ;; v.p|selectattr('r', 'equalto', 'u')|list|length ;; v.p|selectattr('r', '==', 'u')|map(attribute='c')|list ;; v.p|rejectattr('r', 'equalto', 'u')|list ;; v.p|selectattr('zz', 'defined')|list ;; v.p|selectattr('c')|list|length ;; v.l|select('gt', 1)|list ;; v.l|reject('odd')|list ;; v.l|select|list ;; v.d|dictsort ;; v.d|items|list ;; v.d|list ;; v.s|list ;; v.q|default('dd') ;; v.e|default('dd') ;; v.e|default('dd', true) ;; v.o|d('x', boolean=true) ;; v.s|replace('l', 'L') ;; v.s|replace('l', 'L', 1) ;; 'abc'.replace('', '-') ;; v.n|string ~ 1 ;; '42'|int + 1 ;; 'x'|int ;; 'x'|int(5) ;; '0x1f'|int(base=16) ;; ' 3.9 '|int ;; '1.5'|float ;; v.f|int ;; v.f|round ;; 3.14159|round(2) ;; 2.1|round(method='ceil') ;; v.m|abs ;; '<a href="x">\\'&'|escape ;; v.ml|indent ;; v.ml|indent(2, true) ;; v.ml|indent(2, blank=true) ;; v.s|wordcount ;; '%s-%s'|format(1, 'b')
v.d|tojson ;; v.d|tojson(indent=2) ;; v|tojson ;; v.d|tojson(separators=(',', ':')) ;; v.d|tojson(sort_keys=true) ;; v.u|tojson ;; v.u|tojson(ensure_ascii=true) ;; 'a\\x00\\x1f\\x7f\\u2028/\\\\"'|tojson ;; [1.0, 1e20, 1e-5, 123456789.125]|tojson ;; []|tojson(indent=4) ;; {'a': []}|tojson(indent=1)
v.s.split(', ') ;; v.s.split(',', 1)[0] ;; ' a  b '.split() ;; 'a,b,c'.rsplit(',', 1) ;; v.ml.splitlines() ;; v.ml.split('\\n') ;; v.s.startswith('Hell') ;; v.s.endswith(('x', 'd')) ;; v.s.find('w') ;; v.u.find('\\u6587') ;; v.s.rfind('l') ;; v.s.count('l') ;; v.s.index('o') ;; v.u.strip() ;; 'xxhixx'.strip('x') ;; 'xxhixx'.lstrip('x') ;; 'xxhixx'.rstrip('x') ;; v.s.upper() ;; v.s.lower() ;; v.s.title() ;; v.s.capitalize() ;; '-'.join(v.w) ;; 'ab'.isalpha() ;; '12'.isdigit() ;; '  '.isspace() ;; 'a1'.isalnum() ;; 'Ab'.isupper() ;; '7'.zfill(3) ;; '-7'.zfill(4) ;; 'prefix-x'.removeprefix('prefix-') ;; v.s.removesuffix('ld') ;; v.d.get('x') ;; v.d.get('zz') ;; v.d.get('zz', 'no') ;; v.d.keys()|list ;; v.d.values()|list|length ;; v.d.items()|list ;; v.l.index(1) ;; v.l.count(3) ;; range(4)|list ;; range(1, 10, 3)|list ;; range(3, 0, -1)|list ;; dict(a=1, b=[2]) ;; 1 if v.s is defined and v.s is not none else 2 ;; v.n is defined and v.n > 3 ;; not v.n is odd ;; v.n in [7, 8] and v.t ;; -v.n|abs ;; v.s|upper ~ 'x'|lower
""".replace("\n", "|NEXT|")
BAD = ["{{ v.q.r }}", "{{ v.q + 1 }}", "{{ v.n + 'a' }}", "{{ 1 / 0 }}", "{{ v.l.append(1) }}", "{{ v.s.nothing() }}", "{{ 'x'|nothing }}", "{% if %}{% endif %}",
       "{% for x in v.n %}{% endfor %}", "{{ 1 < 'a' }}", "{% set v.s = 1 %}", "{{ ( }}", "{% endif %}", "{% for x in v.l %}", "{{ 'a }}", "{# open", "{% set a, b = [1] %}",
       "{{ raise_exception('no') }}", "{{ v.s % 1 }}", "{% unknown %}", "{{ [1][0:2:0] }}", "{{ q() }}", "{{ v.d['a']['b']['c'] }}"]
STATEMENTS = [
    "{% for x in v.l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle('a', 'b') }};{% endfor %}",
    "{% for x in [] %}a{% else %}none{% endfor %}{% for k, val in v.d.items() %}{{ k }}={{ val }},{% endfor %}{% for x in v.l if x > 1 %}{{ loop.index }}:{{ x }} {% endfor %}",
    "{% for x in v.l %}{% if x == 1 %}{% continue %}{% endif %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{% endfor %}{% for c in 'a\u4e2db' %}[{{ c }}]{% endfor %}{% for k in v.d %}{{ k }}{% endfor %}",
    "{% set x = 1 %}{% for y in v.l %}{% set x = x + y %}{{ x }} {% endfor %}{{ x }}{% if true %}{% set x = 9 %}{% endif %}{{ x }}",
    "{% set ns = namespace(a=1, b='x') %}{% for y in v.l %}{% set ns.a = ns.a + y %}{% endfor %}{{ ns.a }}{{ ns.b }}{{ ns.c is defined }}{% set a, b = 1, 'two' %}{{ a }}{{ b }}",
    "{% set block %}a{{ v.n }}b{% endset %}[{{ block }}]{% set up | upper %}abc{% endset %}{{ up }}{% filter upper %}loud {{ v.s }}{% endfilter %}{% with q = 5, r = 6 %}{{ q + r }}{% endwith %}{{ q is defined }}",
    "  {% if v.t %}  \n  yes\n  {% endif %}\n\n  {%- if v.t -%}  \n x \n {%- endif +%}\n tail {%+ if true %}a{% endif %}  \n{# note #}\n  {#- tight -#}  \nend\n\n",
    "a\n    {% raw %}{{ raw }} {% x %}{% endraw %}\n  b {%- raw -%}  in  {%- endraw %}  c",
    "{% macro m(a, b=2, c='x') %}({{ a }},{{ b }},{{ c }},{{ d is defined }}){% endmacro %}{{ m(1) }}{{ m(1, c=3) }}{{ m(1, 2, 3) }}{{ m() }}{% set d = 4 %}{{ m(1)|length }}",
    "{% if v.e %}a{% elif v.o %}b{% elif v.n %}c{% else %}d{% endif %}{{ v.q }}|{{ none }}|{{ true }}|{{ v.q is none }}{{- '  x' }}{{ 'y  ' -}}   z",
    "{{ v.l }}{{ v.d }}{{ v.w }}{{ v.u }}{{ (1, 'a') }}{{ v.f }}{{ 1e100 }}{{ 12345678901234567 }}{{ 0.00001 }}{{ -0.0 }}",
    "line\r\n{% if true %}\r\nx\r\n{% endif %}\r\ny",
    "{{ {'a': {'b': {'c': 1}}}.a.b.c }}{{ '}}' }}{{ \"{%\" }}{{ v.s|replace('o', '0')|upper|lower|length + 1 }}",
    "{% for m in messages %}{{ m['role'] }}{{ m.content if m.content is string else 'parts' }}{% if not loop.last %}, {% endif %}{% endfor %}",
]


def cases():
    out = []
    for name, template in TEMPLATES.items():
        for messages in CONVERSATIONS:
            for variables in VARIABLES:
                for prompt in (True, False):
                    out.append({"name": name, "template": template, "messages": messages, "variables": variables, "prompt": prompt})
    small = []
    for line in EXPRESSIONS.split("|NEXT|"):
        small += [part.strip() for part in line.split(";;" if ";;" in line else "|") if part.strip()]
    for template in [f"{{{{ {e} }}}}" for e in small] + STATEMENTS + BAD:
        out.append({"name": template, "template": template, "messages": CONVERSATIONS[2], "variables": {"v": VALUES}, "prompt": True})
    return out


def jinja(case):
    """What transformers renders, or None if it raises."""
    try:
        variables = {"tools": None, "documents": None, "bos_token": "<s>", "eos_token": "</s>", **case["variables"]}
        return _compile_jinja_template(case["template"]).render(messages=case["messages"], add_generation_prompt=case["prompt"], **variables)
    except Exception:
        return None


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", type=pathlib.Path)
    options.add_argument("--write", type=pathlib.Path)
    options.add_argument("--program", type=pathlib.Path, default="build/release/benchmarks/chat_texts")
    args = options.parse_args()
    if args.model:
        template = json.loads((args.model / "tokenizer_config.json").read_text(encoding="utf-8"))["chat_template"]
        TEMPLATES.clear()
        TEMPLATES.update({"of the model": template} if isinstance(template, str) else {t["name"]: t["template"] for t in template})
    requests = cases()
    expected = [jinja(case) for case in requests]
    if args.write:
        kept = [{**{k: c[k] for k in ("template", "messages", "variables", "prompt")}, **({} if e is None else {"text": e})}
                for i, (c, e) in enumerate(zip(requests, expected)) if c["name"] not in TEMPLATES or i % 5 == 0]
        text = json.dumps(kept, ensure_ascii=False, separators=(",", ":")).replace('},{"template"', '},\n{"template"')
        args.write.write_text(text + "\n", encoding="utf-8")
        return
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(requests, file)
        file.flush()
        done = subprocess.run([args.program.absolute(), file.name], capture_output=True)
    if done.returncode != 0:
        sys.exit(f"chat_texts ended with {done.returncode}: {done.stderr.decode()}")
    different = 0
    for case, text, found in zip(requests, expected, json.loads(done.stdout)):
        if found.get("text") == text:
            continue
        different += 1
        if different <= 40:
            print(f"{case['name'][:100]!r}\n  theirs {text!r:.300}\n  ours   {found.get('text', found.get('error'))!r:.300}")
    print(f"{len(requests)} renderings, {sum(e is None for e in expected)} of them refused by Jinja: {different} different")
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
