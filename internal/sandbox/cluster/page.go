package cluster

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

// page cuts one page out of a list. The token holds the last item of the page
// before, and its place in case that the item has gone since.
func page[T any](items []T, key func(T) string, token *string, maxResults *int32, limit int) ([]T, *string, error) {
	size := limit
	if maxResults != nil {
		if *maxResults < 1 || int(*maxResults) > limit {
			return nil, nil, invalid("maxResults must be between 1 and %d.", limit)
		}
		size = int(*maxResults)
	}
	return cutPage(items, key, token, size)
}

func cutPage[T any](items []T, key func(T) string, token *string, size int) ([]T, *string, error) {
	start := 0
	if deref(token) != "" {
		place, last, ok := parseToken(*token)
		if !ok || len(items) > 0 && kindOf(last) != kindOf(key(items[0])) {
			return nil, nil, invalid("Invalid token.")
		}
		start = min(place, len(items))
		if i := slices.IndexFunc(items, func(t T) bool { return key(t) == last }); i >= 0 {
			start = i + 1
		}
	}
	rest := items[start:]
	if len(rest) <= size {
		return rest, nil, nil
	}
	next := base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(start+size) + " " + key(rest[size-1])))
	return rest[:size], &next, nil
}

func parseToken(token string) (place int, last string, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return 0, "", false
	}
	number, last, ok := strings.Cut(string(b), " ")
	place, err = strconv.Atoi(number)
	return place, last, ok && err == nil && place >= 0
}

// kindOf is the kind of resource that an ARN is of, by which a token of another
// list is known; empty for a name.
func kindOf(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return ""
	}
	kind, _, _ := strings.Cut(parts[5], "/")
	return kind
}

func itself(s string) string { return s }
