// A year; only this site's own requests carry it.
export default function ({ data }) {
  if (!document.cookie.split("; ").some((one) => one.startsWith(data.name + "="))) {
    document.cookie = `${data.name}=${data.learner}; max-age=31536000; path=/; samesite=strict`;
  }
}
