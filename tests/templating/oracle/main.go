// Runs the cases of a YAML file through Go's text/template with sprig, and expr-lang.
//
// go run . kind < questions.yaml > ../cases/answers.json
//
// A file of questions: {data: …, cases: [text | {text, data, options}]}; kind: template, expr or fast.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	"github.com/expr-lang/expr"
	"github.com/gosimple/slug"
	"github.com/valyala/fasttemplate"
	"sigs.k8s.io/yaml"
)

type question struct {
	Text    string   `json:"text"`
	Data    any      `json:"data,omitempty"`
	Options []string `json:"options,omitempty"`
	Output  *string  `json:"output,omitempty"`
	Value   any      `json:"value,omitempty"`
	Error   string   `json:"error,omitempty"`
}

type file struct {
	Data  any               `json:"data"`
	Cases []json.RawMessage `json:"cases"`
}

var invalid = regexp.MustCompile("[^-a-z0-9.]")

func normalize(name string) string {
	name = invalid.ReplaceAllString(strings.ToLower(name), "-")
	if len(name) > 253 {
		name = name[:253]
	}
	return strings.Trim(name, "-.")
}

func functions() template.FuncMap {
	known := sprig.GenericFuncMap()
	for _, name := range []string{"env", "expandenv", "getHostByName"} {
		delete(known, name)
	}
	known["normalize"] = normalize
	known["slugify"] = func(args ...any) string {
		slug.MaxLength, slug.EnableSmartTruncate = 50, true
		if len(args) > 1 {
			slug.MaxLength = args[0].(int)
		}
		if len(args) > 2 {
			slug.EnableSmartTruncate = args[1].(bool)
		}
		return slug.Make(normalize(args[len(args)-1].(string)))
	}
	known["toYaml"] = func(v any) (string, error) {
		data, err := yaml.Marshal(v)
		return strings.TrimSuffix(string(data), "\n"), err
	}
	known["fromYaml"] = func(s string) (map[string]any, error) {
		m := map[string]any{}
		err := yaml.Unmarshal([]byte(s), &m)
		return m, err
	}
	known["fromYamlArray"] = func(s string) ([]any, error) {
		m := []any{}
		err := yaml.Unmarshal([]byte(s), &m)
		return m, err
	}
	return known
}

func answerTemplate(q *question) {
	parsed, err := template.New("base").Funcs(functions()).Option(q.Options...).Parse(q.Text)
	var out bytes.Buffer
	if err == nil {
		err = parsed.Execute(&out, q.Data)
	}
	text := out.String()
	if err != nil {
		q.Error = err.Error()
	} else {
		q.Output = &text
	}
}

func answerExpr(q *question) {
	program, err := expr.Compile(q.Text)
	if err == nil {
		q.Value, err = expr.Run(program, q.Data)
	}
	if err != nil {
		q.Error = err.Error()
		return
	}
	text := fmt.Sprintf("%T", q.Value)
	q.Output = &text
}

func answerFast(q *question) {
	parsed, err := fasttemplate.NewTemplate(q.Text, "{{", "}}")
	if err != nil {
		q.Error = err.Error()
		return
	}
	text := parsed.ExecuteFuncString(func(w io.Writer, tag string) (int, error) {
		value, ok := q.Data.(map[string]any)[strings.TrimSpace(tag)].(string)
		if !ok || strings.TrimSpace(tag) == "" {
			value = "{{" + tag + "}}"
		}
		return w.Write([]byte(value))
	})
	q.Output = &text
}

func main() {
	answer := map[string]func(*question){"template": answerTemplate, "expr": answerExpr, "fast": answerFast}[os.Args[1]]
	data, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	var questions file
	if err := yaml.Unmarshal(data, &questions); err != nil {
		panic(err)
	}
	answers := []question{}
	for _, raw := range questions.Cases {
		var q question
		if json.Unmarshal(raw, &q.Text) != nil {
			if err := json.Unmarshal(raw, &q); err != nil {
				panic(err)
			}
		}
		given := q.Data
		if q.Data == nil {
			again, _ := json.Marshal(questions.Data)
			_ = json.Unmarshal(again, &q.Data)
		}
		answer(&q)
		q.Data = given
		answers = append(answers, q)
	}
	writer := json.NewEncoder(os.Stdout)
	writer.SetEscapeHTML(false)
	writer.SetIndent("", " ")
	if err := writer.Encode(map[string]any{"data": questions.Data, "cases": answers}); err != nil {
		panic(err)
	}
}
