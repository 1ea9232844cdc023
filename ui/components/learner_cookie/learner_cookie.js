// A year; only this site's own requests carry it. One that the server would not take is replaced.
export default function ({ data }) {
  const kept = document.cookie.split("; ").find((one) => one.startsWith(data.name + "="));
  if (!kept || !/^[A-Za-z0-9]{16,64}$/.test(kept.slice(data.name.length + 1))) {
    const secure = location.protocol === "https:" ? "; secure" : "";
    document.cookie = `${data.name}=${data.learner}; max-age=31536000; path=/; samesite=strict${secure}`;
  }
}
