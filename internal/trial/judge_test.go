package trial

import (
	"strings"
	"testing"
	"time"

	"github.com/weelo/weelo-deploy/internal/engine"
)

func TestJudge_aSIGKILLThatNobodySentIsTheMemoryLimits(t *testing.T) {
	for name, c := range map[string]struct {
		limit int64
		line  string
		want  bool
	}{
		"with a limit":                       {32 << 20, "", true},
		"without a limit":                    {0, "", false},
		"a process in it died by its signal": {32 << 20, "Segmentation fault (core dumped)", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := subject{}
			s.request.Container.MemoryBytes = c.limit
			o := outcome{exit: engine.Exit{Code: 137}, lived: time.Second}
			if c.line != "" {
				o.output.add(engine.LogLine{Text: c.line})
			}
			res, _ := s.judge(Result{}, o)
			if res.OOMKilled != c.want || c.want != strings.Contains(res.Text, "memory limit of 32 MiB") {
				t.Errorf("Result = %+v, want out of memory: %v", res, c.want)
			}
		})
	}
}
