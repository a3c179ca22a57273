package registry

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// restoreTime is how long ECR takes at most to restore an image from the archive
// (user guide, "Restoring an image").
const restoreTime = 20 * time.Minute

// life is what happened to an image since it was pushed. Zero times are of what
// never did.
type life struct {
	PulledAt   time.Time `json:"pulledAt,omitzero"`
	ArchivedAt time.Time `json:"archivedAt,omitzero"`
	// ActiveAt is when the image is, or will be, restored from the archive.
	ActiveAt time.Time `json:"activeAt,omitzero"`
	Archived bool      `json:"archived,omitempty"` // and not asked for since
}

// status is what an image is at a time.
func (l life) status(now time.Time) types.ImageStatus {
	switch {
	case l.Archived:
		return types.ImageStatusArchived
	case l.ActiveAt.After(now):
		return types.ImageStatusActivating
	}
	return types.ImageStatusActive
}

// archive puts an image away: it is shown, and cannot be pulled.
func (l *life) archive(now time.Time) { l.Archived, l.ArchivedAt, l.ActiveAt = true, now, time.Time{} }

// restored brings an image back at a time.
func (l *life) restored(at time.Time) { l.Archived, l.ActiveAt = false, at }

// inUse is when an image was last pulled, or else restored, or else pushed: what
// the countType sinceImagePulled counts from (lifecycle policies, user guide).
func (i *image) inUse() time.Time {
	switch {
	case !i.PulledAt.IsZero():
		return i.PulledAt
	case !i.ActiveAt.IsZero():
		return i.ActiveAt
	}
	return i.PushedAt
}

// pullable says whether an image can be pulled now.
func (s *Store) pullable(i *image) bool {
	return i != nil && !i.RecordOnly && i.status(s.now()) == types.ImageStatusActive
}

// pulled notes a pull. s.mu is held; the next change writes it to the disk.
func (s *Store) pulled(i *image) { i.PulledAt = s.now().UTC() }

func (a *api) updateStorageClass(_ context.Context, in *ecr.UpdateImageStorageClassInput) (*ecr.UpdateImageStorageClassOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, d, err := a.imageOf(in.RepositoryName, in.RegistryId, in.ImageId)
	if err != nil {
		return nil, err
	}
	i, now := r.Images[d], a.s.now().UTC()
	switch status := i.status(now); {
	case in.TargetStorageClass == types.TargetStorageClassArchive && status == types.ImageStatusActive:
		i.archive(now)
	case in.TargetStorageClass == types.TargetStorageClassStandard && status == types.ImageStatusArchived:
		i.restored(now.Add(a.s.divided(restoreTime)))
	case in.TargetStorageClass != types.TargetStorageClassArchive && in.TargetStorageClass != types.TargetStorageClassStandard:
		return nil, invalid("targetStorageClass", "Member must satisfy enum value set: [STANDARD, ARCHIVE]")
	default:
		return nil, &types.ImageStorageClassUpdateNotSupportedException{Message: text(
			"The image with digest '%s' cannot be moved to %s: it is %s", d, in.TargetStorageClass, status)}
	}
	return &ecr.UpdateImageStorageClassOutput{
		ImageId: withDigest(in.ImageId, d), ImageStatus: i.status(now), RegistryId: &a.s.account, RepositoryName: &r.Name,
	}, a.s.save()
}
